/* What libnghttp2 makes of the same bytes that our codec is fed: reads cases from standard input as
 * core/examples/beside_nghttp2/cases.rs writes them, and prints the lines that its tell.rs prints.
 *
 * Built and run by `conformance/peers/nghttp2`. Its settings are our defaults (core/src/http2/limits.rs), and what the
 * owner of a stream does (which requests are answered, which bodies are not taken) is what tell.rs does. */

#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER = 0, CLIENT = 1, CONNECTION_WINDOW = 1 << 20, ASKED = 8 };

static nghttp2_session *session;
static uint32_t at_case, at_piece;
/* The peer's GOAWAY is being read: streams that close by it are unprocessed. */
static int is_client, is_dead, is_leaving;
/* The fields of a head that is not whole, as they will be printed. */
static char *fields;
static size_t fields_len, fields_room;
static int32_t data_stream;
static size_t data_len;
static uint64_t data_hash;

static void begin_line(const char *event) { printf("%" PRIu32 " %" PRIu32 " %s", at_case, at_piece, event); }

static void event_of(const char *event, int32_t stream) {
    begin_line(event);
    printf(" %" PRId32 "\n", stream);
}

static void keep(const char *text, size_t len) {
    if (fields_len + len > fields_room) {
        fields_room = 2 * (fields_len + len);
        fields = realloc(fields, fields_room);
        if (fields == NULL) abort();
    }
    memcpy(fields + fields_len, text, len);
    fields_len += len;
}

/* Printable bytes as they are, but for those that have a meaning in a line. */
static void keep_escaped(const uint8_t *bytes, size_t len) {
    for (size_t at = 0; at < len; at++) {
        char text[4];
        int is_plain = bytes[at] > ' ' && bytes[at] < 0x7f && bytes[at] != '%' && bytes[at] != '=';
        int count = snprintf(text, sizeof text, is_plain ? "%c" : "%%%02x", bytes[at]);
        keep(text, (size_t)count);
    }
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
    (void)s, (void)frame, (void)user;
    fields_len = 0;
    return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
                     const uint8_t *value, size_t valuelen, uint8_t flags, void *user) {
    (void)s, (void)frame, (void)flags, (void)user;
    keep(" ", 1);
    keep_escaped(name, namelen);
    keep("=", 1);
    keep_escaped(value, valuelen);
    return 0;
}

/* By default such a field is left out and the message goes on. RFC 9113 §8.1.1 has it malformed. */
static int on_invalid_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
                             const uint8_t *value, size_t valuelen, uint8_t flags, void *user) {
    (void)s, (void)frame, (void)name, (void)namelen, (void)value, (void)valuelen, (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int is_untaken(int32_t stream) { return stream % 8 == 7; }

static void answer(int32_t stream) {
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_response(session, stream, &status, 1, NULL);
}

static void on_headers(const nghttp2_frame *frame) {
    int32_t stream = frame->hd.stream_id;
    begin_line("head");
    printf(" %" PRId32 "%.*s\n", stream, (int)fields_len, fields);
    if (!is_client && frame->headers.cat == NGHTTP2_HCAT_REQUEST && stream % 8 == 3) answer(stream);
}

/* nghttp2 itself says of a stream that is being reset that the peer has ended it. */
static char ended;
static int has_ended(int32_t stream) { return nghttp2_session_get_stream_user_data(session, stream) == &ended; }

/* The peer has ended its side. */
static void on_end(int32_t stream) {
    nghttp2_session_set_stream_user_data(session, stream, &ended);
    if (is_untaken(stream)) return;
    event_of("end", stream);
    if (!is_client && stream % 8 == 1) answer(stream);
}

static int on_frame_recv(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
    (void)user;
    int32_t stream = frame->hd.stream_id;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(frame);
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) on_end(stream);
        break;
    case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) on_end(stream);
        break;
    case NGHTTP2_RST_STREAM:
        /* A client that has the whole response does not mind, nor does anybody when both sides are done. */
        if (nghttp2_session_get_stream_local_close(s, stream) < 0) break;
        if (!is_client || !has_ended(stream)) event_of("gone", stream);
        break;
    case NGHTTP2_GOAWAY:
        is_leaving = 1;
        break;
    default:
        break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t stream, uint32_t code, void *user) {
    (void)s, (void)code, (void)user;
    if (is_leaving && !has_ended(stream)) event_of("gone", stream);
    return 0;
}

static int on_data_chunk(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *user) {
    (void)flags, (void)user;
    nghttp2_session_consume_connection(s, len);
    if (is_untaken(stream)) return 0;
    nghttp2_session_consume_stream(s, stream, len);
    if (data_len == 0) data_hash = 0xcbf29ce484222325;
    data_stream = stream;
    data_len += len;
    for (size_t at = 0; at < len; at++) data_hash = (data_hash ^ data[at]) * 0x100000001b3;
    return 0;
}

static int on_frame_send(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
    (void)s, (void)user;
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
        begin_line("rst");
        printf(" %" PRId32 " %" PRIu32 "\n", frame->hd.stream_id, frame->rst_stream.error_code);
        break;
    case NGHTTP2_GOAWAY:
        begin_line("goaway");
        printf(" %" PRIu32 " %.*s\n", frame->goaway.error_code, (int)frame->goaway.opaque_data_len,
               (const char *)frame->goaway.opaque_data);
        is_dead = 1;
        break;
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) event_of("ack", 0);
        break;
    case NGHTTP2_PING:
        event_of("pong", 0);
        break;
    default:
        break;
    }
    return 0;
}

/* Why, in nghttp2's words: of a field, and of a frame. */
static int on_error(nghttp2_session *s, int code, const char *text, size_t len, void *user) {
    (void)s, (void)code, (void)user;
    begin_line("why");
    printf(" 0 ");
    /* It quotes what the peer said. */
    for (size_t at = 0; at < len; at++) putchar(text[at] >= ' ' && text[at] < 0x7f ? text[at] : '?');
    putchar('\n');
    return 0;
}

static int on_invalid_frame(nghttp2_session *s, const nghttp2_frame *frame, int code, void *user) {
    (void)s, (void)user;
    begin_line("why");
    printf(" %" PRId32 " %s\n", frame->hd.stream_id, nghttp2_strerror(code));
    return 0;
}

static ssize_t no_data(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t len, uint32_t *flags,
                       nghttp2_data_source *source, void *user) {
    (void)s, (void)stream, (void)buf, (void)len, (void)flags, (void)source, (void)user;
    return NGHTTP2_ERR_DEFERRED;
}

#define FIELD(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE}

/* The requests that our client asks, of streams 1 to 15. */
static void ask(void) {
    nghttp2_data_provider open = {.read_callback = no_data};
    for (int32_t stream = 1; stream < 2 * ASKED; stream += 2) {
        const char *method = stream == 5 ? "HEAD" : stream == 11 ? "POST" : "GET";
        nghttp2_nv usual[] = {FIELD(":method", method), FIELD(":scheme", "http"), FIELD(":authority", "a.test"),
                              FIELD(":path", "/")};
        nghttp2_nv tunnel[] = {FIELD(":method", "CONNECT"), FIELD(":authority", "a.test:80")};
        if (stream == 9) {
            nghttp2_submit_request(session, NULL, tunnel, 2, &open, NULL);
        } else {
            nghttp2_submit_request(session, NULL, usual, 4, stream == 11 ? &open : NULL, NULL);
        }
    }
}

static void flush(void) {
    const uint8_t *bytes;
    ssize_t count;
    do count = nghttp2_session_mem_send(session, &bytes);
    while (count > 0);
    if (count < 0) {
        begin_line("fatal");
        printf(" %s\n", nghttp2_strerror((int)count));
        is_dead = 1;
    }
}

static void open_session(const nghttp2_session_callbacks *callbacks, const nghttp2_option *option) {
    static const nghttp2_settings_entry of_server[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100},
                                                       {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
                                                       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65536},
                                                       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 61440}};
    static const nghttp2_settings_entry of_client[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                                       {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
                                                       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65536},
                                                       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 61440}};
    if (is_client) {
        nghttp2_session_client_new2(&session, callbacks, NULL, option);
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, of_client, 4);
        ask();
    } else {
        nghttp2_session_server_new2(&session, callbacks, NULL, option);
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, of_server, 4);
    }
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    is_dead = 0;
    flush();
}

static void piece(const uint8_t *bytes, size_t len) {
    is_leaving = 0;
    data_len = 0;
    ssize_t taken = nghttp2_session_mem_recv(session, bytes, len);
    if (data_len > 0) {
        begin_line("data");
        printf(" %" PRId32 " %zu %016" PRIx64 "\n", data_stream, data_len, data_hash);
    }
    if (taken < 0) {
        begin_line("fatal");
        printf(" %s\n", nghttp2_strerror((int)taken));
        is_dead = 1;
        return;
    }
    flush();
    /* After a GOAWAY and the last stream there is nothing that it waits for. */
    if (!is_dead && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) {
        event_of("over", 0);
        is_dead = 1;
    }
}

/* A number of four octets, or the end of the input. */
static int number(uint32_t *into) {
    uint8_t octets[4];
    if (fread(octets, 1, 4, stdin) != 4) return 0;
    *into = (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
    return 1;
}

/* So many octets behind their number; whoever calls frees them. */
static uint8_t *octets(uint32_t *len) {
    if (!number(len)) return NULL;
    uint8_t *bytes = malloc(*len + 1);
    if (bytes == NULL || fread(bytes, 1, *len, stdin) != *len) abort();
    return bytes;
}

static nghttp2_session_callbacks *all_callbacks(void) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    return callbacks;
}

int main(void) {
    nghttp2_session_callbacks *callbacks = all_callbacks();
    nghttp2_option *option;
    nghttp2_option_new(&option);
    /* What is not taken gives no credit back. */
    nghttp2_option_set_no_auto_window_update(option, 1);
    uint32_t label_len, pieces, role, len;
    uint8_t *label;
    for (at_case = 0; (label = octets(&label_len)) != NULL; at_case++) {
        free(label);
        if (!number(&role) || !number(&pieces)) abort();
        is_client = role == CLIENT;
        open_session(callbacks, option);
        for (at_piece = 0; at_piece < pieces; at_piece++) {
            uint8_t *bytes = octets(&len);
            if (bytes == NULL) abort();
            if (!is_dead) piece(bytes, len);
            free(bytes);
        }
        nghttp2_session_del(session);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    free(fields);
    return 0;
}
