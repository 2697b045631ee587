// The module slirp.so: libslirp, and GLib with it, for VMs with a user network (net/user.h).
#include "net/slirp_module.h"

extern "C" __attribute__((visibility("default"))) const nandu::SlirpModule nandu_module{
    {nandu::kModuleMagic, nandu::SlirpModule::kAbi, sizeof(nandu::SlirpModule)},
    ::slirp_new,
    ::slirp_cleanup,
    ::slirp_pollfds_fill,
    ::slirp_pollfds_poll,
    ::slirp_input,
    ::slirp_handle_timer,
    ::slirp_add_hostxfwd,
    ::slirp_remove_hostxfwd,
    ::slirp_add_exec,
    ::slirp_add_guestfwd,
    ::slirp_socket_can_recv,
    ::slirp_socket_recv,
    ::slirp_connection_info,
    ::slirp_version_string,
};
