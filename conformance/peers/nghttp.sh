# nghttp of nghttp2: what its options make of frames, padding, priorities, trailers and settings.
serves="http2 http1"
needs() { there "apt-get install nghttp2" nghttp nghttpd; }
service() { files "$1" --echo-upload; }

# So many responses of 200 and the end of the streams; the rest is the command line.
get() {
    local what=$1 count=$2 said found && shift 2
    said=$(timeout 60 nghttp -nv -H ':authority: shop.test' "$@" 2>&1)
    found=$(grep -c ':status: 200' <<<"$said")
    if [ "$found" = "$count" ] && ! grep -qE 'RST_STREAM|\[ERROR\]|error_code=[^N]' <<<"$said"; then
        pass
    else
        fail "$what: $found of $count with 200; $(grep -oE ':status: [1345].*|RST_STREAM.*|error_code=[A-Z_]*|\[ERROR\].*' <<<"$said" |
            sort | uniq -c | tr -s ' \n' ' ')"
    fi
}

run() {
    local url=http://127.0.0.1:$out many
    head -c 65536 /dev/zero >"$dir/64KiB"
    get "a request" 1 "$url/"
    get "a long response" 1 "$url/1MiB"
    get "padding" 1 -b 100 "$url/"
    get "priorities" 1 --weight 200 "$url/"
    get "without priorities" 1 --no-dep "$url/"
    get "a body" 1 -d "$dir/64KiB" "$url/"
    get "a body without a length" 1 -d "$dir/64KiB" --no-content-length "$url/"
    get "a body with trailers" 1 -d "$dir/64KiB" --trailer 'x-a: b' "$url/"
    get "a body that was announced" 1 -d "$dir/64KiB" --expect-continue "$url/"
    get "small windows" 1 -w 14 -W 15 "$url/1MiB"
    get "no table of fields" 1 -c 0 "$url/"
    get "a table of fields that shrinks and grows" 1 -c 0 -c 4096 "$url/"
    many=$(seq -f "$url/?%g" 100)
    # shellcheck disable=SC2086 # one word for each request
    get "a hundred on one connection" 100 $many
    get "the same a thousand times" 1000 -m 1000 "$url/"
}
