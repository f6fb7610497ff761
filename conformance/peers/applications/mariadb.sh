# MariaDB, which speaks first: statements, long rows, and a load on 10 connections. Its port is none that is known for that.
port=3307 speaks=mysql speaks_first=yes

needs() { there "apt-get install mariadb-server" mariadbd && there "apt-get install mariadb-client" mariadb-slap; }

serve() {
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --user=nobody --datadir="$dir/app/data" \
        --skip-test-db >"$dir/install.log" 2>&1 || return 1
    chown -R nobody:nogroup "$dir/app"
    printf '%s\n' "create user peer@'%';" "grant all on *.* to peer@'%';" "create database mysqlslap;" >"$dir/users.sql" && chmod 644 "$dir/users.sql"
    server_runs mariadbd --no-defaults --datadir="$dir/app/data" --socket="$dir/app/socket" --port="$port" \
        --bind-address=0.0.0.0 --skip-name-resolve --init-file="$dir/users.sql" --pid-file="$dir/app/pid"
}

run() {
    local sql=(client_runs mariadb --no-defaults -h "$host" -P "$port" -u peer -N)
    try "a statement" "${sql[@]}" -e "select 6 * 7"
    says "a statement" 42
    try "a long row" "${sql[@]}" -e "select length(repeat('x', 8000000)), repeat('x', 1000000)"
    says "a long row" 8000000
    try "a load" client_runs mariadb-slap --no-defaults -h "$host" -P "$port" -u peer --auto-generate-sql --concurrency=10 \
        --number-of-queries=500
    says "a load" "Average number of queries per client: 50"
}
