# Prometheus scrapes both sidecars while clients call through them, and answers what users of Istio ask; promtool judges the page,
# the alert rules and the dashboard's queries of docs/dashboards. Debian's prometheus; the clients are curl.
serves="http1"
readonly dashboards=$here/../../docs/dashboards

needs() {
    there "apt-get install prometheus" prometheus && there "apt-get install prometheus" promtool \
        && there "apt-get install curl" curl
}

service() { files "$1"; }

# The value of a query, or nothing.
answer() {
    curl -sS --data-urlencode "query=$1" "http://127.0.0.1:$prometheus/api/v1/query" | python3 -c '
import json, sys
said = json.load(sys.stdin)
if said["status"] != "success": sys.exit(said.get("error"))
for series in said["data"]["result"]: print(series["value"][1])'
}

# Waits until the answer to a query is this.
comes_to() {
    local query=$1 want=$2 got=
    for _ in $(seq 100); do
        got=$(answer "$query")
        [ "$got" = "$want" ] && pass && return 0
        sleep 0.1
    done
    fail "$query is \`$got\`, not \`$want\`"
}

# Waits until a query is answered at all.
is_answered() {
    for _ in $(seq 100); do
        [ -n "$(answer "$1")" ] && pass && return 0
        sleep 0.1
    done
    fail "nothing answers: $1"
}

ask() {
    local count=$1 path=$2
    for _ in $(seq "$count"); do
        curl -sS -o "$dir/body" -H 'host: shop.test' "http://127.0.0.1:$out$path" || fail "curl $path"
    done
}

# promtool finds nothing wrong with a page but Envoy's names of counters and Istio's unit, which are theirs.
judge_page() {
    local port=$1 said
    curl -sS "http://127.0.0.1:$port/stats/prometheus" >"$dir/page"
    said=$(promtool check metrics <"$dir/page" 2>&1 | grep -v -E '^envoy_[a-z0-9_]+ (counter metrics should have "_total" suffix|non-counter metrics should not have "_total" suffix)$' \
        | grep -v -E '^(istio_request_duration_milliseconds|envoy_[a-z0-9_]+) use base unit "seconds" instead of "milliseconds"$')
    if [ -z "$said" ]; then pass; else fail "promtool: $said"; fi
    curl -sS "http://127.0.0.1:$port/stats?format=openmetrics" >"$dir/open"
    if [ "$(tail -n 1 "$dir/open")" = "# EOF" ]; then pass; else fail "OpenMetrics does not end"; fi
}

begin_prometheus() {
    read -r prometheus <<<"$(free_ports 1)"
    cp "$dashboards/alerts.yaml" "$dir/alerts.yaml"
    cat >"$dir/prometheus.yaml" <<YAML
global: { scrape_interval: 200ms, evaluation_interval: 200ms }
rule_files: [alerts.yaml]
scrape_configs:
- job_name: outrigger
  metrics_path: /stats/prometheus
  static_configs: [{ targets: ['127.0.0.1:$admin', '127.0.0.1:$admin_of_server'] }]
YAML
    spawn prometheus prometheus --config.file "$dir/prometheus.yaml" --storage.tsdb.path "$dir/data" \
        --web.listen-address "127.0.0.1:$prometheus" --log.level warn
    await "$prometheus"
}

# Each query of the dashboard and each expression of the rules is one that Prometheus understands; those of the dashboard that
# are about requests have an answer.
judge_dashboard() {
    local query
    if promtool check rules "$dashboards/alerts.yaml" >"$dir/rules.log" 2>&1; then pass; else fail "$(cat "$dir/rules.log")"; fi
    while IFS= read -r query; do
        if answer "$query" >"$dir/answer" 2>&1; then pass; else fail "$query: $(cat "$dir/answer")"; fi
    done < <(python3 -c '
import json, sys
board = json.load(open(sys.argv[1]))
for panel in board["panels"]:
    for target in panel.get("targets", []):
        print(target["expr"].replace("$__rate_interval", "1m"))' "$dashboards/outrigger.json")
}

run() {
    admin_of_server=$(grep -o 'admin 127.0.0.1:[0-9]*' "$dir/server.log" | grep -o '[0-9]*$')
    ask 20 /
    ask 5 /nothing
    judge_page "$admin"
    judge_page "$admin_of_server"
    begin_prometheus || { fail "prometheus does not start: $(cat "$dir/prometheus.log")" && return; }
    comes_to 'sum(istio_requests_total{reporter="source"})' 25
    comes_to 'sum(istio_requests_total{reporter="destination",destination_service="shop.test"})' 25
    comes_to 'sum(istio_requests_total{reporter="source",response_code=~"4.*",destination_service_name="shop.test"})' 5
    comes_to 'sum(istio_request_duration_milliseconds_count{reporter="source"})' 25
    comes_to 'sum(istio_request_duration_milliseconds_bucket{reporter="source",le="3600000"})' 25
    comes_to 'count(istio_build)' 2
    comes_to 'sum(outrigger_config_refused)' 0
    comes_to 'sum(envoy_cluster_upstream_rq{cluster_name="outbound|80||shop.test",response_code="404"})' 5
    ask 20 /
    ask 5 /nothing
    # As the dashboards of Istio ask.
    is_answered 'histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter="source"}[1m])) by (le)) > 0'
    is_answered 'sum(rate(istio_requests_total{reporter="destination",response_code!~"4.*"}[1m])) / sum(rate(istio_requests_total{reporter="destination"}[1m])) > 0.5 < 1'
    is_answered 'sum(rate(istio_request_bytes_sum{reporter="source"}[1m])) >= 0'
    judge_dashboard
}
