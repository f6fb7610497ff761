/* A calendar that jumps, for one process: preloaded, it adds to CLOCK_REALTIME so many seconds as the file says that JUMP names. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *jump;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("JUMP");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *jump, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) jump = mapped;
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *told) {
    int failed = (int)syscall(SYS_clock_gettime, which, told);
    if (!failed && jump && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) told->tv_sec += *jump;
    return failed;
}

int gettimeofday(struct timeval *told, void *zone) {
    int failed = (int)syscall(SYS_gettimeofday, told, zone);
    if (!failed && jump && told) told->tv_sec += *jump;
    return failed;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
