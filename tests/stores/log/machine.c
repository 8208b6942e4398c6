/* Put before libc in a test's process: a machine that fails on demand. Flushes are counted; flushes and writes fail, no
   thread is to be had, and the clock is set back, while a file says so. The process is killed before a call that would
   change the disk, if it is told before which. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static atomic_long flushes;

long flushes_so_far(void) { return flushes; }

static atomic_long left = -1;

/* Be killed before the `count`th call from now that would change the disk. */
void die_before(long count) { left = count; }

/* Tell which call it was, and what it was about, and die there. */
static void change(const char *call, const char *path) {
    if (left < 0 || atomic_fetch_sub(&left, 1) != 1) return;
    const char *name = strrchr(path, '/');
    dprintf(1, "%s:%s\n", call, name ? name + 1 : path);
    raise(SIGKILL);
}

static void change_file(const char *call, int file) {
    if (left < 0) return;
    char link[32], path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0) path[0] = 0;
    change(call, path);
}

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
    change_file("flush", file);
    atomic_fetch_add(&flushes, 1);
    FAIL_IF_ASKED("ACT_FAST_TEST_FLUSH");
    return REAL(fdatasync)(file);
}

int fsync(int file) {
    change_file("flush", file);
    atomic_fetch_add(&flushes, 1);
    FAIL_IF_ASKED("ACT_FAST_TEST_FLUSH");
    return REAL(fsync)(file);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *with) {
    int error = asked("ACT_FAST_TEST_THREAD");
    return error ? error : REAL(pthread_create)(thread, how, work, with);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    change_file("write", file);
    FAIL_IF_ASKED("ACT_FAST_TEST_WRITE");
    return REAL(pwrite64)(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    change_file("write", file);
    FAIL_IF_ASKED("ACT_FAST_TEST_WRITE");
    return REAL(pwrite)(file, bytes, count, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = REAL(clock_gettime)(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= asked("ACT_FAST_TEST_CLOCK");
    return outcome;
}

int rename(const char *from, const char *to) {
    change("rename", to);
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    change("remove", path);
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    change("folder", path);
    return REAL(mkdir)(path, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    if (flags & (O_CREAT | O_TRUNC)) change("create", path);
    return REAL(open64)(path, flags, mode);
}
