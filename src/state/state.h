// Saving and loading: sections of described structs under stable ids.
//
// A section is one plain struct registered with Boost.Describe, written as JSON: {"id": "/machine/pcie.0/02.0/virtio-blk", "version": 1,
// "state": {...}}. An absent field keeps its initializer; an unknown field is an error that names it. Loading is from a hostile stream: validate
// everything before changing anything. Bulk data (RAM) travels beside it as blobs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

// Writes below one id. Copies are cheap; they share the document.
class StateDocument;
class StateWriter {
 public:
  StateWriter(StateDocument& document, std::string id);
  StateWriter Child(std::string_view name) const;  // id + "/" + name
  template <class T>
  void Put(const T& state, uint32_t version = 1) const {
    PutSection(TypeOf<T>(), &state, version);
  }
  void PutBlob(std::string_view name, std::span<const std::byte> bytes) const;

 private:
  void PutSection(const TypeInfo& type, const void* state, uint32_t version) const;
  StateDocument* document_;
  std::string id_;
};

class StateReader {
 public:
  StateReader(const StateDocument& document, std::string id);
  StateReader Child(std::string_view name) const;
  bool Has() const;  // a section of exactly this id exists
  // Parses the section into a fresh T. Fails when it is absent, newer than `version`, or does not fit T.
  template <class T>
  Result<T> Get(uint32_t version = 1) const {
    T state{};
    TRY(GetSection(TypeOf<T>(), &state, version));
    return state;
  }
  Result<std::vector<std::byte>> GetBlob(std::string_view name, uint64_t max_bytes) const;
  const std::string& id() const { return id_; }

 private:
  Result<> GetSection(const TypeInfo& type, void* state, uint32_t version) const;
  const StateDocument* document_;
  std::string id_;
};

}  // namespace nandu
