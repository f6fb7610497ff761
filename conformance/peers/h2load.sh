# h2load of nghttp2: ten thousand requests and more, of which none may fail.
serves="http2 http1"
needs() { there "apt-get install nghttp2" h2load nghttpd; }
service() { files "$1" --echo-upload; }

# So many requests of the rest of the command line: each must end in 2xx.
load() {
    local what=$1 count=$2 said && shift 2
    said=$(timeout 300 h2load -n "$count" --connect-to="127.0.0.1:$out" "$@" 2>&1 | grep -E '^(requests|status codes):')
    if [[ $said == *" $count succeeded, 0 failed, 0 errored, 0 timeout"* && $said == *"status codes: $count 2xx"* ]]; then
        pass
    else
        fail "$what: $said"
    fi
}

run() {
    head -c 65536 /dev/zero >"$dir/64KiB"
    load "many connections" 10000 -c 20 -m 32 http://shop.test/
    load "one connection" 10000 -c 1 -m 100 http://shop.test/
    load "one after the other" 1000 -c 1 -m 1 http://shop.test/
    load "bodies both ways" 1000 -c 5 -m 10 -d "$dir/64KiB" http://shop.test/
    load "long responses" 300 -c 3 -m 10 http://shop.test/1MiB
    load "small windows" 100 -c 2 -m 10 -w 16 -W 17 http://shop.test/1MiB
    # Without a proxy nobody would understand.
    [ "$out" = "$app" ] || load "clients of HTTP/1.1" 2000 -c 10 --h1 http://shop.test/
}
