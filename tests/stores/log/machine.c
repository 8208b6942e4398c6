/* Put before libc in a test's process: a machine that fails on demand. Flushes are counted; flushes and writes fail, no
   thread is to be had, and the clock is set back, while a file says so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static atomic_long flushes;

long flushes_so_far(void) { return flushes; }

/* The number in the file that the environment variable `what` names, 0 without such a file. */
static int asked(const char *what) {
    const char *path = getenv(what);
    char text[16] = {0};
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    return got > 0 ? atoi(text) : 0;
}

#define FAIL_IF_ASKED(what) do { int error = asked(what); if (error) { errno = error; return -1; } } while (0)
#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

int fdatasync(int file) {
    atomic_fetch_add(&flushes, 1);
    FAIL_IF_ASKED("ACT_FAST_TEST_FLUSH");
    return REAL(fdatasync)(file);
}

int fsync(int file) {
    atomic_fetch_add(&flushes, 1);
    FAIL_IF_ASKED("ACT_FAST_TEST_FLUSH");
    return REAL(fsync)(file);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *with) {
    int error = asked("ACT_FAST_TEST_THREAD");
    return error ? error : REAL(pthread_create)(thread, how, work, with);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    FAIL_IF_ASKED("ACT_FAST_TEST_WRITE");
    return REAL(pwrite64)(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    FAIL_IF_ASKED("ACT_FAST_TEST_WRITE");
    return REAL(pwrite)(file, bytes, count, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = REAL(clock_gettime)(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= asked("ACT_FAST_TEST_CLOCK");
    return outcome;
}
