/* What the generator and the relay share: addresses, sockets that do not block, a way out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* "127.0.0.1:PORT" */
static struct sockaddr_in address(const char *text) {
    struct sockaddr_in made = {.sin_family = AF_INET};
    char host[32] = "";
    unsigned port = 0;
    if (sscanf(text, "%31[0-9.]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &made.sin_addr) != 1) {
        fprintf(stderr, "error: `%s` is not an address and a port\n", text);
        exit(2);
    }
    made.sin_port = htons(port);
    return made;
}

static void without_delay(int fd) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static int listener(const char *at) {
    struct sockaddr_in where = address(at);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (void *)&where, sizeof where) || listen(fd, 4096)) fail(at);
    return fd;
}

/* Connecting goes on when this returns. */
static int dial(const struct sockaddr_in *to) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) fail("socket");
    without_delay(fd);
    if (connect(fd, (const void *)to, sizeof *to) && errno != EINPROGRESS) fail("connect");
    return fd;
}

static void watch(int epoll, int how, int fd, uint32_t events, void *owner) {
    struct epoll_event event = {events, {.ptr = owner}};
    if (epoll_ctl(epoll, how, fd, &event)) fail("epoll_ctl");
}
