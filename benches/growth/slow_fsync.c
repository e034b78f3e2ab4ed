/* A disk that is slower: preloaded, it makes each fsync and fdatasync take SLOW_FSYNC_MILLISECONDS longer. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int file)
{
    int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *delay = getenv("SLOW_FSYNC_MILLISECONDS");
    long milliseconds = delay ? atol(delay) : 0;
    if (milliseconds > 0) {
        struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
        nanosleep(&time, NULL);
    }
    return call(file);
}

int fsync(int file)
{
    return slowly("fsync", file);
}

int fdatasync(int file)
{
    return slowly("fdatasync", file);
}
