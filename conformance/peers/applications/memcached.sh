# memcached: text and binary protocol, by its own tool and by libmemcached's tests of a server.
port=11211 speaks=tcp-memcached

needs() { there "apt-get install memcached" memcached && there "apt-get install libmemcached-tools" memccapable; }

serve() { server_runs memcached -p "$port" -l 0.0.0.0 -U 0; }

run() {
    try "text protocol" client_runs memccapable -h "$host" -p "$port" -a
    says "text protocol" "All tests passed"
    try "a value" client_runs bash -c "printf 'set a 0 0 5\r\nhello\r\nget a\r\nquit\r\n' | timeout 10 bash -c 'exec 3<>/dev/tcp/$host/$port; cat >&3; cat <&3'"
    says "a value" "hello"
    try "a load" client_runs memcslap --servers="$host:$port" --concurrency=10 --execute-number=500
}
