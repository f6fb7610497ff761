# Mosquitto: messages of MQTT that are kept, that are waited for, and that are long.
port=1883 speaks=tcp-mqtt

needs() { there "apt-get install mosquitto" mosquitto && there "apt-get install mosquitto-clients" mosquitto_rr; }

serve() {
    printf 'listener %s 0.0.0.0\nallow_anonymous true\npersistence false\n' "$port" >"$dir/mosquitto.conf"
    chmod 644 "$dir/mosquitto.conf"
    server_runs mosquitto -c "$dir/mosquitto.conf"
}

run() {
    local to=(-h "$host" -p "$port")
    try "a message that is kept" client_runs mosquitto_pub "${to[@]}" -t kept -r -q 2 -m hello
    try "who comes later" client_runs mosquitto_sub "${to[@]}" -t kept -C 1 -W 20
    says "who comes later" hello
    head -c 4000000 /dev/zero | tr '\0' y >"$dir/message" && chmod 644 "$dir/message"
    try "a long message" client_runs mosquitto_pub "${to[@]}" -t long -r -q 1 -f "$dir/message"
    try "all of it" bash -c "$(declare -f client_runs); away=$away dir=$dir; client_runs mosquitto_sub ${to[*]} -t long -C 1 -W 20 | wc -c"
    says "all of it" 4000001
    (sleep 1 && client_runs mosquitto_pub "${to[@]}" -t later -m news) >/dev/null 2>&1 &
    try "who waits" client_runs mosquitto_sub "${to[@]}" -t later -C 1 -W 20
    says "who waits" news
    wait $!
}
