// Ports of eight-bit registers: a wider access is its bytes, lowest first, as an ISA bus splits it. Any vCPU
// thread; the device behind it outlives its mapping.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <nandu/io_handler.h>

namespace nandu {

class BytePorts final : public IoHandler {
 public:
  using ReadByte = std::function<uint8_t(unsigned offset)>;
  using WriteByte = std::function<void(unsigned offset, uint8_t value)>;
  BytePorts(std::string name, ReadByte read, WriteByte write)
      : name_(std::move(name)), read_(std::move(read)), write_(std::move(write)) {}

  std::string_view name() const override { return name_; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      value |= uint64_t{read_(static_cast<unsigned>(offset) + i)} << (8 * i);
    }
    return value;
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    for (unsigned i = 0; i < size; i++) {
      write_(static_cast<unsigned>(offset) + i, static_cast<uint8_t>(value >> (8 * i)));
    }
    return ExitDone::Done();
  }

 private:
  const std::string name_;
  const ReadByte read_;
  const WriteByte write_;
};

}  // namespace nandu
