// Ports and state as the tests of this room use them: read and write through the fake machine's address
// spaces, save and load through a document.
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "devices/pci/pci_bus.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_host.h"

namespace nandu {

inline uint8_t In(FakeHost& host, uint16_t port) { return static_cast<uint8_t>(host.io.Read(port, 1)); }
inline void Out(FakeHost& host, uint16_t port, uint64_t value, unsigned size = 1) {
  EXPECT_EQ(host.io.Write(port, size, value).token(), nullptr);
}

inline PciBus::Options RootBus(FakeHost& host) {
  PciBus::Options options;
  options.id = "pcie.0";
  options.spaces = {&host.memory, &host.io};
  return options;
}

template <class Device>
std::vector<std::byte> Saved(const Device& device) {
  StateDocument document;
  device.Save(StateWriter(document, "/d"));
  return document.Serialize();
}

template <class Device>
Result<> LoadInto(Device& device, const std::vector<std::byte>& bytes) {
  const StateDocument document = TRY(StateDocument::Parse(bytes));
  return device.Load(StateReader(document, "/d"));
}

// What a device of a hostile stream answers: the sentence, empty when it was accepted.
template <class Device>
std::string LoadError(Device& device, const std::string& state, const std::string& child = "") {
  const std::string table =
      R"({"sections": [{"id": "/d)" + child + R"(", "version": 1, "state": )" + state + R"(}], "blobs": []})";
  std::string bytes = "nandust1";
  for (unsigned shift = 0; shift < 64; shift += 8) {
    bytes += static_cast<char>(table.size() >> shift & 0xff);
  }
  bytes += table;
  const auto as_bytes = std::as_bytes(std::span(bytes));
  const Result<> loaded = LoadInto(device, std::vector<std::byte>(as_bytes.begin(), as_bytes.end()));
  return loaded ? "" : loaded.error().message;
}

}  // namespace nandu
