# websockets by RFC 8441 and by an upgrade of HTTP/1.1, between PyPI's h2 and wsproto on both ends.
serves="http2 http1"
# The interpreter that has them; `python3 -m venv` and `pip install h2 wsproto` make one.
readonly websocket_python=${PYTHON:-python3}

needs() {
    there "set PYTHON" "$websocket_python" || return 1
    "$websocket_python" -c 'import h2, wsproto' 2>/dev/null || { echo "pip install h2 wsproto (PYTHON says for which Python)" >&2 && return 1; }
}

service() { spawn service "$websocket_python" "$here/websocket/service.py" "$1" "$app"; }

run() {
    local line speaks="http2 http1"
    # Without a proxy nobody translates.
    [ "$out" != "$app" ] || speaks=$protocol
    while IFS= read -r line; do
        case $line in
            "ok "*) pass ;;
            *) fail "$line" ;;
        esac
    done < <(for one in $speaks; do timeout 120 "$websocket_python" "$here/websocket/client.py" "$one" "$out" 2>&1 || echo "the client ended with $?"; done)
}
