// Preloaded into a VMM by cpuid_view.py. It writes what the VMM gives KVM_SET_CPUID2 to the file CPUID_SPY names, so that a comparison sees every bit, also
// those that a host's KVM answers otherwise: a record is a vCPU's fd, the number of entries, and the entries as the kernel has them (kvm_cpuid_entry2).
//
// With CPUID_SPY_HOST the VMM finds another host: that file's CPUID entries take the place of those KVM supports, and its feature registers are KVM's. It holds
// the two numbers, the entries, and pairs of 64 bits: register, value. A register that the VMM sets is a record too, with fd, 0, register and value; KVM is not
// told of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256 };
struct pair {
    uint64_t index, value;
};
static int (*real_ioctl)(int fd, unsigned long request, ...);
static int out = -1;
static uint32_t entries, registers;
static struct kvm_cpuid_entry2 entry[MOST];
static struct pair msr[MOST];

static void put(const void *data, size_t bytes)
{
    if (write(out, data, bytes) != (ssize_t)bytes) {
        abort();
    }
}

static void get(int fd, void *data, size_t bytes)
{
    if (read(fd, data, bytes) != (ssize_t)bytes) {
        abort();
    }
}

__attribute__((constructor)) static void open_spy(void)
{
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    const char *path = getenv("CPUID_SPY"), *host = getenv("CPUID_SPY_HOST");
    if (path) {
        out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (host) {
        int fd = open(host, O_RDONLY | O_CLOEXEC);
        get(fd, &entries, sizeof(entries));
        get(fd, &registers, sizeof(registers));
        if (entries > MOST || registers > MOST) {
            abort();
        }
        get(fd, entry, entries * sizeof(entry[0]));
        get(fd, msr, registers * sizeof(msr[0]));
        close(fd);
    }
}

static struct pair *find(uint32_t index)
{
    for (uint32_t i = 0; i < registers; ++i) {
        if (msr[i].index == index) {
            return &msr[i];
        }
    }
    return NULL;
}

static int too_big(void)
{
    errno = E2BIG;
    return -1;
}

// KVM's own entries, without those of the same leaves, and then the host's.
static int supported_cpuid(int fd, struct kvm_cpuid2 *answer)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[MOST];
    } own;
    own.head.nent = MOST;
    if (real_ioctl(fd, KVM_GET_SUPPORTED_CPUID, &own) < 0) {
        return -1;
    }
    uint32_t count = 0;
    struct kvm_cpuid_entry2 all[2 * MOST];
    for (uint32_t i = 0; i < own.head.nent; ++i) {
        uint32_t j = 0;
        while (j < entries && entry[j].function != own.entry[i].function) {
            ++j;
        }
        if (j == entries) {
            all[count++] = own.entry[i];
        }
    }
    memcpy(&all[count], entry, entries * sizeof(entry[0]));
    count += entries;
    if (answer->nent < count) {
        return too_big();
    }
    answer->nent = count;
    memcpy(answer->entries, all, count * sizeof(all[0]));
    return 0;
}

static int feature_registers(int fd, struct kvm_msr_list *answer)
{
    const uint32_t room = answer->nmsrs;
    if (real_ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, answer) < 0 && errno != E2BIG) {
        return -1;
    }
    const uint32_t own = answer->nmsrs;
    answer->nmsrs = own + registers;
    if (room < answer->nmsrs) {
        return too_big();
    }
    for (uint32_t i = 0; i < registers; ++i) {
        answer->indices[own + i] = (uint32_t)msr[i].index;
    }
    return 0;
}

// As KVM: how many were served before one that was not.
static int each_register(int fd, unsigned long request, struct kvm_msrs *list)
{
    for (uint32_t i = 0; i < list->nmsrs; ++i) {
        struct {
            struct kvm_msrs head;
            struct kvm_msr_entry entry;
        } one = {{1, 0}, list->entries[i]};
        struct pair *known = find(one.entry.index);
        if (!known) {
            const int served = real_ioctl(fd, request, &one);
            if (served != 1) {
                return i == 0 && served < 0 ? served : (int)i;
            }
        } else if (request == KVM_GET_MSRS) {
            one.entry.data = known->value;
        } else {
            const uint32_t head[2] = {(uint32_t)fd, 0};
            const struct pair set = {one.entry.index, one.entry.data};
            put(head, sizeof(head));
            put(&set, sizeof(set));
        }
        list->entries[i] = one.entry;
    }
    return (int)list->nmsrs;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    request = (uint32_t)request;  // some callers have it in an int
    if (request == KVM_SET_CPUID2 && out >= 0) {
        const struct kvm_cpuid2 *cpuid = argument;
        const uint32_t head[2] = {(uint32_t)fd, cpuid->nent};
        put(head, sizeof(head));
        put(cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
    }
    if (entries != 0) {
        switch (request) {
        case KVM_GET_SUPPORTED_CPUID:
            return supported_cpuid(fd, argument);
        case KVM_GET_MSR_FEATURE_INDEX_LIST:
            return feature_registers(fd, argument);
        case KVM_GET_MSRS:
        case KVM_SET_MSRS:
            return each_register(fd, request, argument);
        default:
            break;
        }
    }
    return real_ioctl(fd, request, argument);
}
