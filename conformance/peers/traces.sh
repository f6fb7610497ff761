# Spans, judged by collectors of other people: PyPI's rotel (OTLP over gRPC and HTTP, passed on) and oteltap (OTLP over HTTP).
# Three services with a sidecar each call one another; one trace must arrive whole, with a parent for every span.
serves="http1"
# The interpreter that has them; `python3 -m venv` and `pip install rotel oteltap` make one.
readonly traces_python=${PYTHON:-python3}

needs() {
    there "set PYTHON" "$traces_python" || return 1
    "$traces_python" -c 'import rotel, oteltap' 2>/dev/null || { echo "pip install rotel oteltap (PYTHON says for which Python)" >&2 && return 1; }
}

service() { files "$1"; }

run() {
    local line
    case $subject in tokio | glommio) ;; *) fail "only our own sidecars say where spans go" && return ;; esac
    while IFS= read -r line; do
        case $line in
            "ok "*) pass ;;
            "  "* | "") [ -z "${TRACES_SHOW:-}" ] || printf '%s\n' "$line" ;;
            *) fail "$line" ;;
        esac
    done < <(timeout 300 "$traces_python" "$here/traces/mesh.py" "$outrigger" "$subject" "$dir" 2>&1 || echo "the mesh ended with $?")
    [ $((passed + failed)) -ge 15 ] || fail "only $((passed + failed)) checks were made"
}
