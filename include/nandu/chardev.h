// A character backend (stdio, pty, socket, file, null, mux) as a serial port or console sees it. Control loop, all of it; a device
// whose registers are written by vCPU threads posts to the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_function.h"

namespace nandu {

class Chardev {
 public:
  Chardev() = default;
  Chardev(const Chardev&) = delete;
  Chardev& operator=(const Chardev&) = delete;
  virtual ~Chardev() = default;

  virtual const std::string& id() const = 0;
  virtual std::string filename() const = 0;  // as query-chardev: "pty:/dev/pts/3", "disconnected:unix:/x,server=on"
  // Takes what it can now and returns how much; a backend with nobody at the other end takes and drops everything.
  // After a short write, on_writable runs once when there is room again.
  virtual size_t Write(std::span<const std::byte> bytes) = 0;
  virtual void NotifyWritable(UniqueFunction<void()> on_writable) = 0;

  struct FrontEnd {
    UniqueFunction<size_t()> room;                              // how many bytes the device takes now
    UniqueFunction<void(std::span<const std::byte>)> data;      // never more than room() answered
    UniqueFunction<void(bool open)> connection;                 // a client came or went
    UniqueFunction<void()> break_condition;                     // serial break (Ctrl-a b on a mux)
    UniqueFunction<void(bool focused)> focus;                   // a mux turned its input to this front end, or away
  };
  // One front end at a time; kBusy when there is one (use a mux). When a client is there already, connection(true) runs before it
  // returns. Every callback may be empty; none runs from within Write. A front end may Detach from within its callbacks.
  virtual Result<> Attach(FrontEnd front_end) = 0;
  virtual void Detach() = 0;
  virtual void AcceptInput() = 0;  // room() grew: deliver what waits
  virtual bool connected() const = 0;
  // The front end is done with a client that costs too much: a socket is closed, and the next client may come. Where there is no one to
  // hang up on (a terminal, a file) nothing happens.
  virtual void DropPeer() {}
};

}  // namespace nandu
