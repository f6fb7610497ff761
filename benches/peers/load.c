/* Clients and the origin, in one thread that never sleeps: whoever is measured never pays for waking them, and however slow it is,
 * it meets the same two.
 *
 *     load --to ADDR --origin ADDR [--connections N] [--warm SECONDS] [--seconds SECONDS] [--tcp] [--ask BYTES] [--answer BYTES]
 *          [--fresh] [--idle] [--rate REQUESTS] [--streams N] [--client-tls DIR] [--origin-tls DIR]
 *
 * An exchange is a request with a body of ASK bytes and its response with one of ANSWER bytes over HTTP/1.1; with --tcp so many bytes
 * there and so many back. Each connection begins its next one when it has the last one whole; with --fresh on a new connection, the
 * old one being reset. Every response is checked: its status and its length. --client-tls, --origin-tls: TLS 1.3 on that side, each
 * side showing DIR/cert-chain.pem with DIR/key.pem and believing in DIR/root-cert.pem. --streams: clients speak HTTP/2 with prior
 * knowledge, GET, so many at a time on each connection; the origin stays what it is.
 *
 * --rate: open loop. So many requests a second in all come in at random (exponential gaps), each on the connection that has rested
 * longest, and how long one took is counted from when it was to be sent. `late_us` says how late (99th percentile) this program itself
 * was where a connection was free: what it says of latencies is worth nothing where that is not small.
 *
 * Prints BEGIN when what is measured begins and a line of JSON when it is over: `idle` is the share of time in which there was nothing
 * to do, and where it is near 0 the load was the limit. With --idle each connection has one exchange, a line says that, and they are
 * held until the input ends. */
#include "sockets.h"
#include <getopt.h>
#include <math.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

enum phase { CONNECTING, SHAKING, GOING, RESTING, GONE };

struct side {
    int fd, is_client, is_watched;
    enum phase phase;
    SSL *tls;
    const char *out; /* what is still to be sent */
    size_t out_left;
    int in_head;
    size_t in_left; /* of a body, or of what comes without a head */
    size_t head_length;
    char *head;
    uint64_t began;
    struct side *next_gone;
    struct http2 *http2;
};

/* What a client that speaks HTTP/2 has of its connection. */
struct http2 {
    uint32_t next_stream;
    unsigned char head[9]; /* of the frame that is being read */
    unsigned head_length, left, is_first;
    size_t bodies[64]; /* read of each stream, by its place among those under way */
    uint32_t streams[64];
    char out[4096];
};

static struct { char *bytes; size_t length, body; } ask, answer;
static struct sockaddr_in to;
static SSL_CTX *client_tls, *origin_tls;
static int epoll_fd, connections = 64, is_raw, is_fresh, is_idle;
static double warm = 1, seconds = 3, rate;
static int streams;
/* Of the open loop: when the next request is due, connections that rest in a ring, and times of those that were measured. */
static uint64_t due, last_rest, dice = 88172645463325252ull;
static struct side **resting;
static unsigned resting_from, resting_count;
static struct times { uint32_t *nanos; size_t count, room; } latencies, lates;
static int is_measured;
static char why_not[256] = "the connection ended";
static uint64_t exchanges, errors, bad, unshaken, latency_sum, idle_time;
static int rested, dialled;
static struct side *gone;
static char buffer[64 * 1024];
enum { LONGEST_HEAD = 4096 };

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static SSL_CTX *tls(const char *folder, int is_server) {
    SSL_CTX *made = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    char chain[512], key[512], roots[512];
    snprintf(chain, sizeof chain, "%s/cert-chain.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(roots, sizeof roots, "%s/root-cert.pem", folder);
    if (SSL_CTX_use_certificate_chain_file(made, chain) != 1 || SSL_CTX_use_PrivateKey_file(made, key, SSL_FILETYPE_PEM) != 1
        || SSL_CTX_load_verify_locations(made, roots, NULL) != 1 || SSL_CTX_set_ciphersuites(made, "TLS_AES_128_GCM_SHA256") != 1
        || SSL_CTX_set1_groups_list(made, "X25519") != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(made, (const unsigned char *)"load", 4);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (!is_server) SSL_CTX_set_alpn_protos(made, (const unsigned char *)"\x08http/1.1", 9);
    return made;
}

/* Moved bytes; 0 at the end, -1 when it would wait, -2 when something broke. */
static ssize_t moved(struct side *side, ssize_t result) {
    if (result > 0) return result;
    if (!side->tls) return result == 0 ? 0 : errno == EAGAIN || errno == EINTR ? -1 : -2;
    int why = SSL_get_error(side->tls, result);
    if (why == SSL_ERROR_SSL) ERR_error_string_n(ERR_peek_error(), why_not, sizeof why_not);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : why == SSL_ERROR_ZERO_RETURN ? 0 : -2;
}

static void begin_reading(struct side *side) {
    side->in_head = !is_raw;
    side->in_left = is_raw ? (side->is_client ? answer.length : ask.length) : 0;
    side->head_length = 0;
}

static void forget(struct side *side) {
    if (side->tls) SSL_free(side->tls);
    close(side->fd);
    free(side->head);
    side->phase = GONE;
    side->next_gone = gone;
    gone = side;
}

static void connect_client(void);

static void lose(struct side *side) {
    int is_client = side->is_client;
    forget(side);
    if (!is_client) return;
    errors++;
    if (rate || streams) {
        fprintf(stderr, "error: a connection of a client ended: %s\n", why_not);
        exit(1);
    }
    if (errors > 10000) {
        fprintf(stderr, "error: 10,000 connections failed\n");
        exit(1);
    }
    connect_client();
}

static void flush(struct side *side) {
    while (side->out_left) {
        ssize_t sent = side->tls ? SSL_write(side->tls, side->out, side->out_left)
                                 : send(side->fd, side->out, side->out_left, MSG_NOSIGNAL);
        sent = moved(side, sent);
        if (sent == -1) break;
        if (sent <= 0) return lose(side);
        side->out += sent;
        side->out_left -= sent;
    }
    int is_watched = side->out_left > 0;
    if (is_watched == side->is_watched) return;
    side->is_watched = is_watched;
    watch(epoll_fd, EPOLL_CTL_MOD, side->fd, EPOLLIN | (is_watched ? EPOLLOUT : 0), side);
}

static void say(struct side *side, const char *bytes, size_t length) {
    side->out = bytes;
    side->out_left = length;
    begin_reading(side);
    flush(side);
}

static void remember(struct times *times, uint64_t nanos) {
    if (times->count == times->room) {
        times->room = times->room ? 2 * times->room : 1 << 16;
        times->nanos = realloc(times->nanos, times->room * sizeof *times->nanos);
    }
    times->nanos[times->count++] = nanos > UINT32_MAX ? UINT32_MAX : nanos;
}

static int by_length(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* In microseconds; the times are sorted. */
static double percentile(const struct times *times, double share) {
    if (!times->count) return 0;
    size_t at = share * times->count;
    return times->nanos[at < times->count ? at : times->count - 1] / 1e3;
}

/* Nanoseconds until the next request: exponential gaps, so that arrivals know nothing of each other. */
static uint64_t gap(void) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    double drawn = ((dice >> 11) + 1) / 9007199254740993.0;
    return -log(drawn) / rate * 1e9;
}

static void rest(struct side *side) {
    side->phase = RESTING;
    resting[(resting_from + resting_count++) % connections] = side;
    last_rest = now();
}

static void begin_streams(struct side *side);

static void begin_exchange(struct side *side, uint64_t began) {
    if (streams) return begin_streams(side);
    side->phase = GOING;
    side->began = began;
    say(side, ask.bytes, ask.length);
}

/* Sends what is due, as far as connections rest. */
static void send_due(void) {
    uint64_t time = now();
    while (resting_count && due <= time) {
        struct side *side = resting[resting_from];
        resting_from = (resting_from + 1) % connections;
        resting_count--;
        if (is_measured) remember(&lates, time - (due > last_rest ? due : last_rest));
        begin_exchange(side, due);
        due += gap();
    }
}

/* All of a request, or of a response, is here. */
static void on_whole(struct side *side) {
    if (!side->is_client) {
        say(side, answer.bytes, answer.length);
        return;
    }
    if (is_measured) {
        exchanges++;
        latency_sum += now() - side->began;
        if (rate) remember(&latencies, now() - side->began);
    }
    if (rate) return rest(side);
    if (is_idle) {
        side->phase = RESTING;
        rested++;
        if (dialled < connections) connect_client();
    } else if (is_fresh) {
        struct linger none = {1, 0}; /* nothing is left of it that would use up ports */
        setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        forget(side);
        connect_client();
    } else begin_exchange(side, now());
}

/* The end of a head that has come whole; 0: it has not. */
static size_t read_head(struct side *side, const char *bytes, size_t count) {
    size_t before = side->head_length, room = LONGEST_HEAD - before;
    size_t more = count < room ? count : room;
    if (!side->head) side->head = malloc(LONGEST_HEAD);
    memcpy(side->head + before, bytes, more);
    char *end = memmem(side->head, before + more, "\r\n\r\n", 4);
    if (!end) {
        side->head_length += more;
        return 0;
    }
    *end = 0;
    char *length = strcasestr(side->head, "\ncontent-length:");
    side->in_left = length ? strtoull(length + 16, NULL, 10) : 0;
    side->in_head = 0;
    int is_right = side->is_client
        ? !strncmp(side->head, "HTTP/1.1 200", 12) && side->in_left == answer.body
        : side->in_left == ask.body;
    if (!is_right && !bad++) fprintf(stderr, "error: not what was to come: %s\n", side->head);
    return end + 4 - side->head - before;
}

/* -1: what nobody asked for. */
static int take(struct side *side, const char *bytes, size_t count) {
    while (count) {
        if (side->is_client && side->phase != GOING) return -1;
        if (side->in_head) {
            size_t used = read_head(side, bytes, count);
            if (!used) return side->head_length == LONGEST_HEAD ? -1 : 0;
            bytes += used;
            count -= used;
        }
        size_t part = count < side->in_left ? count : side->in_left;
        side->in_left -= part;
        bytes += part;
        count -= part;
        if (side->in_left == 0 && !side->in_head) {
            if (count) return -1; /* nobody sends the next one before he has his answer */
            on_whole(side);
        }
    }
    return 0;
}

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/* No settings, and as much room for answers on the connection as there can be. */
static const char SETTINGS[] = "\0\0\0\x04\0\0\0\0\0" "\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";
static const char ACKNOWLEDGED[] = "\0\0\0\x04\x01\0\0\0\0";
/* :method GET, :scheme http, and the fields of the request in HTTP/1.1; none goes into a table. */
static const char FIELDS[] = "\x82\x86\x04\x17/some/path?with=a&query\x01\x0eorigin.example\x0f\x2b\x04load\x0f\x04\x03*/*"
    "\x00\x0cx-request-id\x24" "0f8fad5b-d9cb-469f-a165-70867728950e";

static size_t put_request(char *out, uint32_t stream) {
    size_t length = sizeof FIELDS - 1;
    char head[9] = {0, length >> 8, length, 1, 5, stream >> 24, stream >> 16, stream >> 8, stream};
    memcpy(out, head, 9);
    memcpy(out + 9, FIELDS, length);
    return 9 + length;
}

/* Appends to what is still to be sent. */
static void add_to_out(struct side *side, const char *bytes, size_t length) {
    struct http2 *http2 = side->http2;
    if (side->out_left && side->out != http2->out) memmove(http2->out, side->out, side->out_left);
    side->out = http2->out;
    if (side->out_left + length > sizeof http2->out) {
        fprintf(stderr, "error: the proxy does not read\n");
        exit(1);
    }
    memcpy(http2->out + side->out_left, bytes, length);
    side->out_left += length;
}

static void ask_on_stream(struct side *side, int place) {
    struct http2 *http2 = side->http2;
    char request[9 + sizeof FIELDS];
    http2->streams[place] = http2->next_stream;
    http2->bodies[place] = 0;
    add_to_out(side, request, put_request(request, http2->next_stream));
    http2->next_stream += 2;
}

static void begin_streams(struct side *side) {
    side->phase = GOING;
    side->http2 = calloc(1, sizeof *side->http2);
    side->http2->next_stream = 1;
    side->out_left = 0;
    add_to_out(side, PREFACE, sizeof PREFACE - 1);
    add_to_out(side, SETTINGS, sizeof SETTINGS - 1);
    for (int place = 0; place < streams; place++) ask_on_stream(side, place);
    flush(side);
}

/* A part of a frame's payload has come. -1: it is not what was to come. */
static int take_payload(struct side *side, const unsigned char *bytes, size_t count) {
    struct http2 *http2 = side->http2;
    unsigned char kind = http2->head[3], flags = http2->head[4];
    uint32_t stream = http2->head[5] << 24 | http2->head[6] << 16 | http2->head[7] << 8 | http2->head[8];
    if (kind == 3 || kind == 7) return -1; /* RST_STREAM, GOAWAY */
    if (kind == 4 && !(flags & 1) && http2->left == 0) add_to_out(side, ACKNOWLEDGED, sizeof ACKNOWLEDGED - 1);
    if (kind > 1) return 0;
    int place = 0;
    while (place < streams && http2->streams[place] != stream) place++;
    if (place == streams) return -1;
    /* The status comes first, and 200 stands in the static table; before it may stand that the table is smaller. */
    if (kind == 1 && http2->is_first && count) {
        size_t at = 0;
        while (at + 1 < count && (bytes[at] & 0xe0) == 0x20) at++;
        if (bytes[at] != 0x88 && !bad++) fprintf(stderr, "error: the status is not 200\n");
    }
    if (kind == 0) http2->bodies[place] += count;
    if (count) http2->is_first = 0;
    if (http2->left || !(flags & 1)) return 0;
    if (http2->bodies[place] != answer.body && !bad++) fprintf(stderr, "error: a body of %zu bytes\n", http2->bodies[place]);
    exchanges += is_measured;
    ask_on_stream(side, place);
    return 0;
}

static int take_frames(struct side *side, const char *bytes, size_t count) {
    struct http2 *http2 = side->http2;
    while (count) {
        if (http2->head_length < 9) {
            http2->head[http2->head_length++] = *bytes++;
            count--;
            if (http2->head_length < 9) continue;
            http2->left = http2->head[0] << 16 | http2->head[1] << 8 | http2->head[2];
            http2->is_first = 1;
        }
        size_t part = count < http2->left ? count : http2->left;
        http2->left -= part;
        if (take_payload(side, (const unsigned char *)bytes, part)) return -1;
        bytes += part;
        count -= part;
        if (http2->left == 0) http2->head_length = 0;
    }
    flush(side);
    return 0;
}

static void receive(struct side *side) {
    for (;;) {
        ssize_t count = side->tls ? SSL_read(side->tls, buffer, sizeof buffer) : read(side->fd, buffer, sizeof buffer);
        int is_short = !side->tls && count < (ssize_t)sizeof buffer;
        count = moved(side, count);
        if (count == -1) return;
        if (count == 0 && !side->is_client) return forget(side);
        if (count <= 0 || (side->http2 ? take_frames : take)(side, buffer, count)) return lose(side);
        if (side->phase == GONE || is_short) return;
        if (side->tls && !SSL_has_pending(side->tls)) return;
    }
}

static void shake(struct side *side) {
    int result = SSL_do_handshake(side->tls);
    if (result != 1) {
        if (moved(side, result) != -1) {
            if (!unshaken++) fprintf(stderr, "error: no handshake with the %s: %s\n", side->is_client ? "server" : "client", why_not);
            return side->is_client ? lose(side) : forget(side);
        }
        return;
    }
    if (side->is_client) begin_exchange(side, side->began);
    else {
        side->phase = GOING;
        begin_reading(side);
        if (SSL_has_pending(side->tls)) receive(side);
    }
}

static struct side *add(int fd, int is_client, SSL_CTX *context) {
    struct side *side = calloc(1, sizeof *side);
    side->fd = fd;
    side->is_client = is_client;
    if (context) {
        side->tls = SSL_new(context);
        SSL_set_fd(side->tls, fd);
        SSL_set_read_ahead(side->tls, 1);
        if (is_client) {
            SSL_set_connect_state(side->tls);
            SSL_set_tlsext_host_name(side->tls, "origin.example");
        } else SSL_set_accept_state(side->tls);
    }
    return side;
}

static void connect_client(void) {
    struct side *side = add(dial(&to), 1, client_tls);
    dialled++;
    side->began = now();
    side->phase = CONNECTING;
    side->is_watched = 1;
    watch(epoll_fd, EPOLL_CTL_ADD, side->fd, EPOLLIN | EPOLLOUT, side);
}

static void accept_all(int listening) {
    int fd;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        without_delay(fd);
        struct side *side = add(fd, 0, origin_tls);
        side->phase = origin_tls ? SHAKING : GOING;
        begin_reading(side);
        watch(epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, side);
    }
}

static void on_event(struct side *side, uint32_t events) {
    if (side->phase == GONE) return;
    if (side->phase == CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) return lose(side);
        watch(epoll_fd, EPOLL_CTL_MOD, side->fd, EPOLLIN, side);
        side->is_watched = 0;
        if (rate) return rest(side);
        if (!side->tls) return begin_exchange(side, side->began);
        side->phase = SHAKING;
    }
    if (side->phase == SHAKING) return shake(side);
    if (events & EPOLLOUT) flush(side);
    if (side->phase != GONE && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(side);
}

static void write_messages(size_t ask_body, size_t answer_body) {
    ask.bytes = malloc(ask_body + 512);
    answer.bytes = malloc(answer_body + 512);
    ask.body = ask_body;
    answer.body = answer_body;
    if (!is_raw) {
        ask.length = sprintf(ask.bytes, "%s /some/path?with=a&query HTTP/1.1\r\nhost: origin.example\r\nuser-agent: load\r\naccept: */*\r\n"
            "x-request-id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n", ask_body ? "POST" : "GET");
        if (ask_body) ask.length += sprintf(ask.bytes + ask.length, "content-length: %zu\r\n", ask_body);
        ask.length += sprintf(ask.bytes + ask.length, "\r\n");
        answer.length = sprintf(answer.bytes, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nserver: load\r\n"
            "date: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-length: %zu\r\n\r\n", answer_body);
    }
    memset(ask.bytes + ask.length, 'a', ask_body);
    memset(answer.bytes + answer.length, 'b', answer_body);
    ask.length += ask_body;
    answer.length += answer_body;
}

static void hold(void) {
    printf("{\"opened\":%d,\"errors\":%lu,\"bad\":%lu}\n", rested, errors, bad);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0) {}
    exit(0);
}

static void measure(int listening) {
    uint64_t start = now(), begin = start + warm * 1e9, end = begin + seconds * 1e9;
    int ahead = is_idle && connections > 64 ? 64 : connections;
    while (dialled < ahead) connect_client();
    due = start;
    for (;;) {
        if (rate) send_due();
        uint64_t time = now();
        if (is_idle && rested >= connections) hold();
        if (is_idle && time - start > 60000000000ull) {
            fprintf(stderr, "error: %d of %d connections after a minute\n", rested, connections);
            exit(1);
        }
        if (!is_idle && !is_measured && time >= begin) {
            is_measured = 1;
            puts("BEGIN");
            fflush(stdout);
        }
        if (is_measured && time >= end) {
            printf("{\"exchanges\":%lu,\"seconds\":%.4f,\"errors\":%lu,\"bad\":%lu,\"mean_us\":%.1f,\"idle\":%.3f", exchanges,
                (time - begin) / 1e9, errors, bad, exchanges ? latency_sum / 1e3 / exchanges : 0., idle_time / (double)(time - begin));
            if (rate) {
                qsort(latencies.nanos, latencies.count, sizeof *latencies.nanos, by_length);
                qsort(lates.nanos, lates.count, sizeof *lates.nanos, by_length);
                printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"late_us\":%.1f", percentile(&latencies, 0.5),
                    percentile(&latencies, 0.99), percentile(&latencies, 0.999), percentile(&lates, 0.99));
            }
            puts("}");
            exit(0);
        }
        struct epoll_event events[256];
        int number = epoll_wait(epoll_fd, events, 256, 0);
        for (int at = 0; at < number; at++) {
            if (events[at].data.ptr) on_event(events[at].data.ptr, events[at].events);
            else accept_all(listening);
        }
        if (is_measured && number <= 0) idle_time += now() - time;
        while (gone) {
            struct side *next = gone->next_gone;
            free(gone);
            gone = next;
        }
    }
}

int main(int count, char **words) {
    enum { TO = 1, ORIGIN, CONNECTIONS, WARM, SECONDS, ASK, ANSWER, RATE, STREAMS, CLIENT_TLS, ORIGIN_TLS };
    static const struct option flags[] = {
        {"to", 1, NULL, TO}, {"origin", 1, NULL, ORIGIN}, {"connections", 1, NULL, CONNECTIONS}, {"warm", 1, NULL, WARM},
        {"seconds", 1, NULL, SECONDS}, {"ask", 1, NULL, ASK}, {"answer", 1, NULL, ANSWER}, {"rate", 1, NULL, RATE}, {"streams", 1, NULL, STREAMS},
        {"client-tls", 1, NULL, CLIENT_TLS},
        {"origin-tls", 1, NULL, ORIGIN_TLS}, {"tcp", 0, &is_raw, 1}, {"fresh", 0, &is_fresh, 1}, {"idle", 0, &is_idle, 1}, {0},
    };
    const char *origin = NULL;
    size_t ask_body = 0, answer_body = 1024;
    int flag, has_to = 0;
    while ((flag = getopt_long(count, words, "", flags, NULL)) >= 0) switch (flag) {
        case TO: to = address(optarg); has_to = 1; break;
        case ORIGIN: origin = optarg; break;
        case CONNECTIONS: connections = atoi(optarg); break;
        case WARM: warm = atof(optarg); break;
        case SECONDS: seconds = atof(optarg); break;
        case ASK: ask_body = strtoull(optarg, NULL, 10); break;
        case ANSWER: answer_body = strtoull(optarg, NULL, 10); break;
        case RATE: rate = atof(optarg); break;
        case STREAMS: streams = atoi(optarg); break;
        case CLIENT_TLS: client_tls = tls(optarg, 0); break;
        case ORIGIN_TLS: origin_tls = tls(optarg, 1); break;
        case '?': return 2;
    }
    if (!has_to || !origin) {
        fprintf(stderr, "usage: load --to ADDR --origin ADDR ... (see the head of load.c)\n");
        return 2;
    }
    if (streams < 0 || streams > 30 || (streams && (rate || is_raw || is_fresh || is_idle || client_tls || ask_body))
        || (rate && (is_fresh || is_idle || client_tls))) {
        fprintf(stderr, "error: at most 30 streams, and neither streams nor a rate with what they cannot have\n");
        return 2;
    }
    resting = calloc(connections, sizeof *resting);
    write_messages(ask_body, answer_body);
    epoll_fd = epoll_create1(0);
    int listening = listener(origin);
    watch(epoll_fd, EPOLL_CTL_ADD, listening, EPOLLIN, NULL);
    measure(listening);
}
