# PostgreSQL: statements, a copy in and out, LISTEN and NOTIFY, a cancellation, which is a connection of its own, and pgbench.
port=5432 speaks=tcp-postgres
postgresql_programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)

needs() { there "apt-get install postgresql postgresql-contrib" "$postgresql_programs/pgbench"; }

serve() {
    as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$dir/app" "$@"; }
    as_nobody "$postgresql_programs/initdb" -D "$dir/app/data" -A trust -U peer >"$dir/initdb.log" 2>&1 || return 1
    echo "host all all 0.0.0.0/0 trust" >>"$dir/app/data/pg_hba.conf"
    server_runs "$postgresql_programs/postgres" -D "$dir/app/data" -p "$port" -h 0.0.0.0 -k "$dir/app"
}

run() {
    local psql=(client_runs psql "host=$host port=$port user=peer dbname=postgres sslmode=prefer" -v ON_ERROR_STOP=1 -At)
    try "a statement" "${psql[@]}" -c "select 6 * 7"
    says "a statement" 42
    try "a long answer" "${psql[@]}" -c "select sum(length(x)) from (select repeat('x', 1000) as x from generate_series(1, 20000)) as t"
    says "a long answer" 20000000
    try "a copy" bash -c "$(declare -f client_runs); away=$away dir=$dir; seq 100000 | client_runs psql 'host=$host port=$port user=peer dbname=postgres' -At -c 'create table n (i int)' -c 'copy n from stdin' -c 'select sum(i) from n'"
    says "a copy" 5000050000
    try "a notification" "${psql[@]}" -c "listen news" -c "notify news, 'hello'"
    try "a cancellation" bash -c "$(declare -f client_runs); away=$away dir=$dir; ! client_runs timeout -s INT 2 psql 'host=$host port=$port user=peer dbname=postgres' -c 'select pg_sleep(50)'"
    says "a cancellation" "canceling statement due to user request"
    try "tables for a load" client_runs "$postgresql_programs/pgbench" -h "$host" -p "$port" -U peer -i -q postgres
    try "a load" client_runs "$postgresql_programs/pgbench" -h "$host" -p "$port" -U peer -c 10 -t 100 postgres
    says "a load" "number of failed transactions: 0"
}
