# curl: both versions from the command line that people know, and the upgrade that is not taken.
serves="http2 http1"
needs() { there "apt-get install curl nghttp2-server" curl nghttpd; }
service() { files "$1" --echo-upload; }

# The version, status and length that a request ends in.
ask() {
    local what=$1 want=$2 said && shift 2
    said=$(timeout 60 curl -sS -o /dev/null -w '%{http_version} %{response_code} %{size_download}' \
        --connect-to "shop.test:80:127.0.0.1:$out" "$@" 2>&1)
    # shellcheck disable=SC2053 # a `*` in it is any length
    if [[ $said == $want ]]; then pass; else fail "$what: $said, and not $want"; fi
}

run() {
    local url=http://shop.test two=--http2-prior-knowledge
    head -c 10485760 /dev/zero >"$dir/10MiB"
    ask "HTTP/2" "2 200 6" $two $url/
    ask "HTTP/2, a long response" "2 200 1048576" $two $url/1MiB
    ask "HTTP/2, a body" "2 200 5" $two -d abcde $url/
    ask "HTTP/2, a long body" "2 200 10485760" $two --data-binary "@$dir/10MiB" $url/
    ask "HTTP/2, HEAD" "2 200 0" $two -I $url/1MiB
    ask "HTTP/2, nothing there" "2 404 *" $two $url/none
    # Without a proxy nobody would understand.
    [ "$out" != "$app" ] || return
    ask "HTTP/1.1" "1.1 200 6" --http1.1 $url/
    ask "HTTP/1.1, a long body" "1.1 200 10485760" --http1.1 --data-binary "@$dir/10MiB" $url/
    ask "HTTP/1.1, a body in chunks" "1.1 200 10485760" --http1.1 -H 'transfer-encoding: chunked' --data-binary "@$dir/10MiB" $url/
    ask "HTTP/1.1, HEAD" "1.1 200 0" --http1.1 -I $url/1MiB
    ask "an upgrade to h2c" "1.1 200 6" --http2 $url/
}
