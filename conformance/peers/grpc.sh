# grpcio, client and server, and the interop cases of gRPC (`grpc/testing/test.proto` of Debian's `grpc-proto`).
serves="http2"
# The interpreter that has grpcio; `python3 -m venv` and `pip install grpcio grpcio-tools` make one.
readonly python=${PYTHON:-python3} protos=${GRPC_PROTO:-/usr/share/grpc-proto}

needs() {
    there "set PYTHON" "$python" || return 1
    "$python" -c 'import grpc, grpc_tools' 2>/dev/null || { echo "pip install grpcio grpcio-tools (PYTHON says for which Python)" >&2 && return 1; }
    [ -f "$protos/grpc/testing/test.proto" ] || { echo "apt-get install grpc-proto (or set GRPC_PROTO)" >&2 && return 1; }
}

# Python's classes of the messages and stubs.
generate() {
    mkdir -p "$dir/generated"
    "$python" -m grpc_tools.protoc -I "$protos" --python_out="$dir/generated" --grpc_python_out="$dir/generated" \
        "$protos"/grpc/testing/{empty,messages,test}.proto
    # `grpc.testing` is a package of grpcio-testing, too, and `grpc` one of grpcio: they go by another name.
    mv "$dir/generated/grpc/testing" "$dir/generated/interop"
    sed -i 's/from grpc\.testing import/from interop import/' "$dir"/generated/interop/*.py
}

service() {
    generate
    PYTHONPATH=$dir/generated spawn service "$python" "$here/grpc/server.py" "$app"
}

run() {
    local line
    while IFS= read -r line; do
        case $line in
            "ok "*) pass ;;
            *) fail "$line" ;;
        esac
    done < <(PYTHONPATH=$dir/generated timeout 300 "$python" "$here/grpc/client.py" "$out" 2>&1)
    [ $((passed + failed)) -ge 20 ] || fail "only $((passed + failed)) cases were played"
}
