// Preloaded into the program: counts what it does to files below a folder, and lets one of these calls go wrong.
//
// FAULTS_BELOW  the folder, without links
// FAULTS_AT     which call goes wrong, from 1; none if it is 0
// FAULTS_HOW    "once": this call fails, "on": so do all after it that make something, "short": a write writes half
//               first, "kill": the process is killed instead of this call
// FAULTS_ERROR  the number of the error
// FAULTS_COUNT  a file outside the folder that the number of calls is written to

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

struct Settings {
    char below[PATH_MAX] = "";
    size_t length = 0;
    long at = 0;
    int error = ENOSPC;
    bool on = false, shortened = false, kill = false;
    int count = -1;

    Settings() {
        auto text = [](const char *name) { const char *value = getenv(name); return value ? value : ""; };
        snprintf(below, sizeof below, "%s", text("FAULTS_BELOW"));
        length = strlen(below);
        at = atol(text("FAULTS_AT"));
        if (*text("FAULTS_ERROR")) error = atoi(text("FAULTS_ERROR"));
        on = !strcmp(text("FAULTS_HOW"), "on");
        shortened = !strcmp(text("FAULTS_HOW"), "short");
        kill = !strcmp(text("FAULTS_HOW"), "kill");
        if (*text("FAULTS_COUNT")) {
            auto real = reinterpret_cast<int (*)(const char *, int, ...)>(dlsym(RTLD_NEXT, "open"));
            count = real(text("FAULTS_COUNT"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        }
    }
};

const Settings &settings() {
    static const Settings it;
    return it;
}

std::atomic<long> calls{0};

bool is_below(const char *path) {
    const Settings &s = settings();
    return s.length && !strncmp(path, s.below, s.length) && (path[s.length] == '/' || !path[s.length]);
}

bool is_below(int file) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n <= 0) return false;
    path[n] = 0;
    return is_below(path);
}

// A path as the program gave it; it may be relative to a folder that is open.
bool is_below(int folder, const char *path) {
    if (*path == '/') return is_below(path);
    return folder == AT_FDCWD ? false : is_below(folder);
}

// Counts a call; true if it is to go wrong. What removes or reads still works on a full disk.
bool goes_wrong(bool makes) {
    const Settings &s = settings();
    long n = ++calls;
    if (s.count >= 0) {
        char text[32];
        int length = snprintf(text, sizeof text, "%ld\n", n);
        static const auto real =
            reinterpret_cast<ssize_t (*)(int, const void *, size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
        (void)!real(s.count, text, length, 0);
    }
    if (!s.at || !(n == s.at || (s.on && makes && n > s.at))) return false;
    if (s.kill) raise(SIGKILL);
    errno = s.error;
    return true;
}

template <typename F> F next(const char *name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }

int open_as(const char *name, const char *path, int flags, mode_t mode) {
    if (is_below(path) && goes_wrong(flags & O_CREAT)) return -1;
    return next<int (*)(const char *, int, ...)>(name)(path, flags, mode);
}

int openat_as(const char *name, int folder, const char *path, int flags, mode_t mode) {
    if (is_below(folder, path) && goes_wrong(flags & O_CREAT)) return -1;
    return next<int (*)(int, const char *, int, ...)>(name)(folder, path, flags, mode);
}

mode_t mode_of(int flags, va_list &list) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; }

} // namespace

extern "C" {

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_as("open64", path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return openat_as("openat", folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return openat_as("openat64", folder, path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t size) {
    static const auto real = next<ssize_t (*)(int, const void *, size_t)>("write");
    if (is_below(file) && goes_wrong(true)) {
        // A disk that gets full takes a part, and refuses the rest.
        const Settings &s = settings();
        static std::atomic<bool> halved{false};
        if (!s.shortened || size < 2 || halved.exchange(true)) return -1;
        (void)!real(file, bytes, size / 2);
        errno = s.error;
        return -1;
    }
    return real(file, bytes, size);
}

int rename(const char *from, const char *to) {
    if (is_below(to) && goes_wrong(true)) return -1;
    return next<int (*)(const char *, const char *)>("rename")(from, to);
}

int mkdir(const char *path, mode_t mode) {
    if (is_below(path) && goes_wrong(true)) return -1;
    return next<int (*)(const char *, mode_t)>("mkdir")(path, mode);
}

int unlink(const char *path) {
    if (is_below(path) && goes_wrong(false)) return -1;
    return next<int (*)(const char *)>("unlink")(path);
}

int unlinkat(int folder, const char *path, int flags) {
    if (is_below(folder, path) && goes_wrong(false)) return -1;
    return next<int (*)(int, const char *, int)>("unlinkat")(folder, path, flags);
}

int rmdir(const char *path) {
    if (is_below(path) && goes_wrong(false)) return -1;
    return next<int (*)(const char *)>("rmdir")(path);
}

int fsync(int file) {
    if (is_below(file) && goes_wrong(true)) return -1;
    return next<int (*)(int)>("fsync")(file);
}

int fdatasync(int file) {
    if (is_below(file) && goes_wrong(true)) return -1;
    return next<int (*)(int)>("fdatasync")(file);
}

int ftruncate(int file, off_t size) {
    if (is_below(file) && goes_wrong(true)) return -1;
    return next<int (*)(int, off_t)>("ftruncate")(file, size);
}

int ftruncate64(int file, off64_t size) {
    if (is_below(file) && goes_wrong(true)) return -1;
    return next<int (*)(int, off64_t)>("ftruncate64")(file, size);
}

} // extern "C"
