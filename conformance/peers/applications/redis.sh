# Redis: commands, a pipeline, a value of 8 MiB, subscriptions, and a load on 50 connections.
port=6379 speaks=redis

needs() { there "apt-get install redis-server" redis-server && there "apt-get install redis-tools" redis-benchmark; }

serve() { server_runs redis-server --port "$port" --bind 0.0.0.0 --protected-mode no --save '' --dir "$dir/app"; }

run() {
    local cli=(client_runs redis-cli -h "$host" -p "$port")
    try ping "${cli[@]}" ping
    says ping PONG
    head -c 8388608 /dev/zero | tr '\0' x >"$dir/value" && chmod 644 "$dir/value"
    try "a long value" "${cli[@]}" -x set long <"$dir/value"
    try "its length" "${cli[@]}" strlen long
    says "its length" 8388608
    (sleep 1 && client_runs redis-cli -h "$host" -p "$port" publish news hello) >/dev/null &
    # It waits for more until its time is up.
    said=$(client_runs timeout 4 redis-cli -h "$host" -p "$port" subscribe news)
    says "a subscription" hello
    wait $!
    try "a load" client_runs redis-benchmark -h "$host" -p "$port" -q -n 20000 -c 50 -P 4 -t set,get
    says "a load" "requests per second"
}
