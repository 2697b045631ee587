// A device's registers as a bus sees them. Offsets only: a device never knows its address.
#pragma once

#include <cstdint>
#include <string_view>

#include <nandu/exit.h>

namespace nandu {

class IoHandler {
 public:
  IoHandler() = default;
  IoHandler(const IoHandler&) = delete;
  IoHandler& operator=(const IoHandler&) = delete;
  virtual ~IoHandler() = default;

  virtual std::string_view name() const = 0;
  // Any vCPU thread, concurrently. `size` is 1, 2, 4 or 8 and offset + size lies within the region; a handler that has no
  // register of that width or place answers all ones and ignores writes, and counts it.
  virtual uint64_t Read(uint64_t offset, unsigned size) = 0;
  virtual ExitDone Write(uint64_t offset, unsigned size, uint64_t value) = 0;
};

}  // namespace nandu
