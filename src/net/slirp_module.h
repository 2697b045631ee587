// libslirp as the module slirp.so brings it: its functions by their own names, without the prefix. slirp/libslirp.h of 4.7 says what each
// does. One Slirp is used by one thread at a time.
#pragma once

#include <slirp/libslirp.h>

#include "base/module.h"

namespace nandu {

struct SlirpModule {
  static constexpr uint32_t kAbi = 1;
  static constexpr const char* kName = "slirp";
  static constexpr const char* kPackage = "libslirp0";

  ModuleHeader header;
  decltype(&::slirp_new) create;
  decltype(&::slirp_cleanup) cleanup;
  decltype(&::slirp_pollfds_fill) pollfds_fill;
  decltype(&::slirp_pollfds_poll) pollfds_poll;
  decltype(&::slirp_input) input;
  decltype(&::slirp_handle_timer) handle_timer;
  decltype(&::slirp_add_hostxfwd) add_hostxfwd;
  decltype(&::slirp_remove_hostxfwd) remove_hostxfwd;
  decltype(&::slirp_add_exec) add_exec;
  decltype(&::slirp_add_guestfwd) add_guestfwd;
  decltype(&::slirp_socket_can_recv) socket_can_recv;
  decltype(&::slirp_socket_recv) socket_recv;
  decltype(&::slirp_connection_info) connection_info;
  decltype(&::slirp_version_string) version_string;
};

}  // namespace nandu
