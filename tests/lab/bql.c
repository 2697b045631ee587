// Preloaded into the emulating QEMU by tests/lab/lab. Emulating SVM, QEMU 7.2 raises a virtual interrupt from a guest's
// write to CR8 without holding its big lock, while the function it calls asserts that the lock is held: a UEFI guest
// inside the nested machine ends the whole machine that way. This definition shadows that function and takes the lock
// where the caller did not.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

extern bool qemu_mutex_iothread_locked(void);
extern void qemu_mutex_lock_iothread_impl(const char *file, int line);
extern void qemu_mutex_unlock_iothread(void);

typedef void Handler(void *cpu, int mask);

// The accelerator is a module opened with local visibility, so RTLD_NEXT does not see the original.
static Handler *Original(void)
{
    static const char *const kModules[] = {
        "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
        "/usr/bin/../lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",  // how QEMU itself spells it; dlopen compares names
    };
    for (size_t i = 0; i < sizeof kModules / sizeof *kModules; i++) {
        void *module = dlopen(kModules[i], RTLD_NOLOAD | RTLD_NOW);
        Handler *found = module ? (Handler *)dlsym(module, "tcg_handle_interrupt") : NULL;
        if (found) return found;
    }
    fputs("bql.c: this QEMU has no tcg_handle_interrupt where it is expected\n", stderr);
    abort();
}

void tcg_handle_interrupt(void *cpu, int mask)
{
    static Handler *original;
    if (!original) original = Original();
    const bool taken = !qemu_mutex_iothread_locked();
    if (taken) qemu_mutex_lock_iothread_impl(__FILE__, __LINE__);
    original(cpu, mask);
    if (taken) qemu_mutex_unlock_iothread();
}
