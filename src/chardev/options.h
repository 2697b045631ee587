// The options of every -chardev backend, as QEMU names them (qemu-options: "Character device options").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/described.h"

namespace nandu {

struct ChardevCommonOptions {
  bool mux = false;  // several front ends share it; Ctrl-a c switches
  std::optional<std::string> logfile;
  bool logappend = false;
};
BOOST_DESCRIBE_STRUCT(ChardevCommonOptions, (), (mux, logfile, logappend))

struct NullOptions : ChardevCommonOptions {};
BOOST_DESCRIBE_STRUCT(NullOptions, (ChardevCommonOptions), ())

struct StdioOptions : ChardevCommonOptions {
  bool signal = true;  // Ctrl-c interrupts nandu; off: the guest gets it
};
BOOST_DESCRIBE_STRUCT(StdioOptions, (ChardevCommonOptions), (signal))

struct FileChardevOptions : ChardevCommonOptions {
  std::string path;
  bool append = false;  // off: the file is emptied first
};
BOOST_DESCRIBE_STRUCT(FileChardevOptions, (ChardevCommonOptions), (path, append))

struct PipeOptions : ChardevCommonOptions {
  std::string path;  // path.in and path.out when both exist, else path for both directions
};
BOOST_DESCRIBE_STRUCT(PipeOptions, (ChardevCommonOptions), (path))

struct PtyOptions : ChardevCommonOptions {};
BOOST_DESCRIBE_STRUCT(PtyOptions, (ChardevCommonOptions), ())

struct SocketOptions : ChardevCommonOptions {
  std::optional<std::string> path;  // unix
  bool abstract_ = false;           // unix: a name in the abstract namespace instead of a path
  bool tight = true;                // unix, abstract: the name ends with its last character, not with zeroes
  std::optional<std::string> host;  // tcp; a server without it listens everywhere
  std::optional<std::string> port;  // tcp: number or service name
  std::optional<uint16_t> to;       // tcp server: the last port to try
  std::optional<bool> ipv4;
  std::optional<bool> ipv6;
  bool nodelay = false;
  bool delay = true;
  std::optional<std::string> fd;  // a listening or connected socket that was inherited
  bool server = false;
  std::optional<bool> wait;  // server: start the machine only with a client; on when not said
  uint32_t reconnect = 0;    // client: seconds between attempts, 0: none
  bool telnet = false;
  bool tn3270 = false;
  bool websocket = false;
  std::optional<std::string> tls_creds;
  std::optional<std::string> tls_authz;
};
BOOST_DESCRIBE_STRUCT(SocketOptions, (ChardevCommonOptions),
                      (path, abstract_, tight, host, port, to, ipv4, ipv6, nodelay, delay, fd, server, wait,
                       reconnect, telnet, tn3270, websocket, tls_creds, tls_authz))

}  // namespace nandu
