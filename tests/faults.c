/* A disk that refuses: preloaded into a process, it lets the n-th call that writes below a folder fail.

   Whoever makes the call is met: Python, Rust or C++. Only absolute paths are counted, and no descriptor that was
   opened to read, but for fsync. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder, *log_path;
static int nth, code, lasting;
static atomic_int calls;

/* Calls are counted from 0; if it is lasting, all later ones fail too, as on a full disk. What failed is appended to
   the log as "CALL PATH". */
void let_fail(const char *below, int number, int error, int lasts, const char *log) {
    folder = strdup(below), log_path = strdup(log);
    nth = number, code = error, lasting = lasts;
}

static int fails(const char *call, const char *path) {
    if (!folder || !path || strncmp(path, folder, strlen(folder))) return 0;
    int number = atomic_fetch_add(&calls, 1);
    if (number < nth || (number > nth && !lasting)) return 0;
    char line[2048];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    int log = syscall(SYS_open, log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, log, line, length);
    syscall(SYS_close, log);
    errno = code;
    return 1;
}

static int fails_on(const char *call, int descriptor) {
    if (!folder) return 0;
    char link[64], path[1024];
    int opened_to_read = (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = opened_to_read && strcmp(call, "fsync") ? -1 : readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return fails(call, path);
}

#define NEXT(name) __typeof__(name) *next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPENS(name)                                                     \
    int name(const char *path, int flags, ...) {                        \
        NEXT(name);                                                     \
        va_list rest;                                                   \
        va_start(rest, flags);                                          \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                   \
        int writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);   \
        return writes && fails("open", path) ? -1 : next(path, flags, mode); \
    }
#define ON_PATH(type, name, call, path, parameters, ...)                \
    type name parameters {                                              \
        NEXT(name);                                                     \
        return fails(call, path) ? -1 : next(__VA_ARGS__);              \
    }
#define ON_DESCRIPTOR(type, name, call, descriptor, parameters, ...)    \
    type name parameters {                                              \
        NEXT(name);                                                     \
        return fails_on(call, descriptor) ? -1 : next(__VA_ARGS__);     \
    }

OPENS(open)
OPENS(open64)
ON_PATH(int, mkdir, "mkdir", access(a, F_OK) ? a : NULL, (const char *a, mode_t mode), a, mode) /* else it is there */
ON_PATH(int, rename, "rename", b, (const char *a, const char *b), a, b)
ON_PATH(int, symlink, "symlink", b, (const char *a, const char *b), a, b)
ON_PATH(int, link, "link", b, (const char *a, const char *b), a, b)
ON_DESCRIPTOR(ssize_t, write, "write", fd, (int fd, const void *data, size_t size), fd, data, size)
ON_DESCRIPTOR(ssize_t, writev, "write", fd, (int fd, const struct iovec *parts, int count), fd, parts, count)
ON_DESCRIPTOR(ssize_t, pwrite64, "write", fd, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
ON_DESCRIPTOR(int, ftruncate64, "ftruncate", fd, (int fd, off64_t size), fd, size)
ON_DESCRIPTOR(int, fsync, "fsync", fd, (int fd), fd)

int close(int fd) { /* what it reports, it reports of a descriptor that is closed all the same */
    NEXT(close);
    int failed = fails_on("close", fd), reported = errno, result = next(fd);
    if (failed) errno = reported;
    return failed ? -1 : result;
}
