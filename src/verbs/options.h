// What `nandu run` and `nandu boot-test` were asked for, as verbs.cpp reads it from the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nandu {

// Who may log in, and what else cloud-init is told: the seed. Nothing given: no seed.
struct SeedOptions {
  std::string user;       // empty: the image's own
  std::string password;   // empty: none
  std::string ssh_key;    // a public key, or a file with some
  std::string directory;  // user-data, meta-data ... as they are, instead of all that
  bool wanted() const { return !(user.empty() && password.empty() && ssh_key.empty() && directory.empty()); }
};

struct RunOptions {
  std::string image;
  std::string format;  // raw or qcow2; empty: what the image's first bytes say
  std::string name;    // empty: the image's file name
  unsigned cpus = 0;   // 0: two, or what the host has
  std::string memory = "2G";
  std::vector<std::string> disks;
  std::string net = "user";  // "user", "tap:NAME", "none"
  std::optional<uint16_t> ssh_port;
  std::vector<std::string> forwards;  // HOST:GUEST
  SeedOptions seed;
  bool uefi = false;
  std::string bios;  // another firmware than SeaBIOS; a file
  std::string kernel, initrd, append;
  bool ephemeral = false;
  bool detach = false;
  bool print = false;
};

struct BootTestOptions {
  RunOptions run;  // without an image
  std::vector<std::string> images;
  std::string expect;  // an extended regular expression; empty: a login prompt
  unsigned timeout_s = 300;
  std::string command;                           // run inside once somebody can log in
  std::string junit, log, screenshot, timeline;  // files to write; "{}" is the image's name
  unsigned jobs = 1;
};

}  // namespace nandu
