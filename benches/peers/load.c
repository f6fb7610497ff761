/* Clients and the origin, in one thread that never sleeps: whoever is measured never pays for waking them, and however slow it is,
 * it meets the same two.
 *
 *     load --to ADDR --origin ADDR [--connections N] [--warm SECONDS] [--seconds SECONDS] [--tcp] [--ask BYTES] [--answer BYTES]
 *          [--fresh] [--idle] [--client-tls DIR] [--origin-tls DIR]
 *
 * An exchange is a request with a body of ASK bytes and its response with one of ANSWER bytes over HTTP/1.1; with --tcp so many bytes
 * there and so many back. Each connection begins its next one when it has the last one whole; with --fresh on a new connection, the
 * old one being reset. Every response is checked: its status and its length. --client-tls, --origin-tls: TLS 1.3 on that side, each
 * side showing DIR/cert-chain.pem with DIR/key.pem and believing in DIR/root-cert.pem.
 *
 * Prints BEGIN when what is measured begins and a line of JSON when it is over: `idle` is the share of time in which there was nothing
 * to do, and where it is near 0 the load was the limit. With --idle each connection has one exchange, a line says that, and they are
 * held until the input ends. */
#include "sockets.h"
#include <getopt.h>
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
};

static struct { char *bytes; size_t length, body; } ask, answer;
static struct sockaddr_in to;
static SSL_CTX *client_tls, *origin_tls;
static int epoll_fd, connections = 64, is_raw, is_fresh, is_idle;
static double warm = 1, seconds = 3;
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

static void begin_exchange(struct side *side, uint64_t began) {
    side->phase = GOING;
    side->began = began;
    say(side, ask.bytes, ask.length);
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
    }
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

static void receive(struct side *side) {
    for (;;) {
        ssize_t count = side->tls ? SSL_read(side->tls, buffer, sizeof buffer) : read(side->fd, buffer, sizeof buffer);
        int is_short = !side->tls && count < (ssize_t)sizeof buffer;
        count = moved(side, count);
        if (count == -1) return;
        if (count == 0 && !side->is_client) return forget(side);
        if (count <= 0 || take(side, buffer, count)) return lose(side);
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
    for (;;) {
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
            printf("{\"exchanges\":%lu,\"seconds\":%.4f,\"errors\":%lu,\"bad\":%lu,\"mean_us\":%.1f,\"idle\":%.3f}\n", exchanges,
                (time - begin) / 1e9, errors, bad, exchanges ? latency_sum / 1e3 / exchanges : 0., idle_time / (double)(time - begin));
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
    enum { TO = 1, ORIGIN, CONNECTIONS, WARM, SECONDS, ASK, ANSWER, CLIENT_TLS, ORIGIN_TLS };
    static const struct option flags[] = {
        {"to", 1, NULL, TO}, {"origin", 1, NULL, ORIGIN}, {"connections", 1, NULL, CONNECTIONS}, {"warm", 1, NULL, WARM},
        {"seconds", 1, NULL, SECONDS}, {"ask", 1, NULL, ASK}, {"answer", 1, NULL, ANSWER}, {"client-tls", 1, NULL, CLIENT_TLS},
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
        case CLIENT_TLS: client_tls = tls(optarg, 0); break;
        case ORIGIN_TLS: origin_tls = tls(optarg, 1); break;
        case '?': return 2;
    }
    if (!has_to || !origin) {
        fprintf(stderr, "usage: load --to ADDR --origin ADDR ... (see the head of load.c)\n");
        return 2;
    }
    write_messages(ask_body, answer_body);
    epoll_fd = epoll_create1(0);
    int listening = listener(origin);
    watch(epoll_fd, EPOLL_CTL_ADD, listening, EPOLLIN, NULL);
    measure(listening);
}
