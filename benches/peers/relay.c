/* The floor: accepts, connects, and copies bytes both ways, and does nothing else. One thread, one buffer, epoll.
 *
 *     relay LISTEN TO
 *
 * What a peer is too slow to take waits with it, and meanwhile the other side is not read. The end of one side ends both. */
#include "sockets.h"

struct end {
    int fd;
    struct end *other;
    char *waiting; /* what this one has not taken yet */
    size_t from, to;
    int is_watched; /* for room to write */
    struct end *next_gone;
};

static int epoll_fd;
static char buffer[256 * 1024];
static struct end *gone;

static void look(struct end *end) {
    uint32_t read = end->other->waiting ? 0 : EPOLLIN, write = end->waiting ? EPOLLOUT : 0;
    watch(epoll_fd, EPOLL_CTL_MOD, end->fd, read | write, end);
}

static void end_both(struct end *end) {
    if (end->fd < 0) return;
    close(end->fd);
    close(end->other->fd);
    end->fd = end->other->fd = -1;
    end->next_gone = end->other;
    end->other->next_gone = gone;
    gone = end;
}

/* Sends what it can; what is left waits. */
static void pass(struct end *end, const char *bytes, size_t count) {
    ssize_t sent = send(end->fd, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end_both(end);
    if (sent < 0) sent = 0;
    if ((size_t)sent == count) return;
    end->to = count - sent;
    end->from = 0;
    end->waiting = malloc(end->to);
    memcpy(end->waiting, bytes + sent, end->to);
    look(end);
    look(end->other);
}

static void pass_on_what_waited(struct end *end) {
    ssize_t sent = send(end->fd, end->waiting + end->from, end->to - end->from, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) end_both(end);
        return;
    }
    end->from += sent;
    if (end->from < end->to) return;
    free(end->waiting);
    end->waiting = NULL;
    look(end);
    look(end->other);
}

static void on_event(struct end *end, uint32_t events) {
    if (end->fd >= 0 && end->waiting && events & EPOLLOUT) pass_on_what_waited(end);
    if (end->fd < 0 || end->other->waiting || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t count = read(end->fd, buffer, sizeof buffer);
    if (count > 0) pass(end->other, buffer, count);
    else if (count == 0 || errno != EAGAIN) end_both(end);
}

static void join(int client, const struct sockaddr_in *to) {
    struct end *both = calloc(2, sizeof *both);
    both[0] = (struct end){.fd = client, .other = &both[1]};
    both[1] = (struct end){.fd = dial(to), .other = &both[0]};
    without_delay(client);
    /* Until it is connected, reads and writes say that it is not. */
    for (int at = 0; at < 2; at++) watch(epoll_fd, EPOLL_CTL_ADD, both[at].fd, EPOLLIN, &both[at]);
}

int main(int count, char **words) {
    if (count != 3) {
        fprintf(stderr, "usage: relay LISTEN TO\n");
        return 2;
    }
    int listening = listener(words[1]);
    struct sockaddr_in to = address(words[2]);
    epoll_fd = epoll_create1(0);
    watch(epoll_fd, EPOLL_CTL_ADD, listening, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[256];
        int number = epoll_wait(epoll_fd, events, 256, -1);
        for (int at = 0; at < number; at++) {
            struct end *end = events[at].data.ptr;
            int client;
            if (end) on_event(end, events[at].events);
            else while ((client = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) join(client, &to);
        }
        while (gone) {
            struct end *first = gone, *second = first->next_gone;
            gone = second->next_gone;
            free(first->waiting);
            free(second->waiting);
            free(first < second ? first : second); /* they were allocated together */
        }
    }
}
