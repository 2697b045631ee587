// A machine's state in memory: sections (described structs as JSON) and blobs under stable ids, and the bytes
// they travel as. One thread at a time; devices see it through StateWriter and StateReader only.
//
// Bytes: "nandust1", the length of the table as 64 bits little-endian, the table as JSON, then the blobs one
// after another in the order of their ids. The table is
//   {"sections": [{"id": "/machine/rtc", "version": 1, "state": {...}}, ...], "blobs": [{"id":
//   "/machine/x/lapic", "bytes": 1024}, ...]}
// with ids in ascending order, so that equal states are equal bytes. Parse takes bytes from a hostile peer.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nandu {

struct StateLimits {
  uint64_t max_table_bytes = uint64_t{64} << 20;
  uint64_t max_values = uint64_t{8} << 20;  // JSON values in the table
  uint64_t max_ids = uint64_t{64} << 10;    // sections and blobs together
};

class StateDocument {
 public:
  StateDocument();
  StateDocument(StateDocument&&) noexcept;
  StateDocument& operator=(StateDocument&&) noexcept;
  ~StateDocument();

  // Ids are paths: "/machine/pcie.0/02.0/virtio-blk". Putting one twice is our own bug: two devices would
  // claim one section.
  void PutSection(std::string_view id, uint32_t version, boost::json::value state);
  void PutBlob(std::string_view id, std::span<const std::byte> bytes);

  struct SectionView {
    uint32_t version = 0;
    const boost::json::value* state = nullptr;  // null: there is no such section
  };
  SectionView FindSection(std::string_view id) const;  // counts as read
  bool HasSection(std::string_view id) const;          // does not
  const std::vector<std::byte>* FindBlob(
      std::string_view id) const;  // counts as read; null when there is none

  // What nobody has read: state of a device that this machine does not have.
  std::vector<std::string> Unread() const;

  std::vector<std::byte> Serialize() const;
  static Result<StateDocument> Parse(std::span<const std::byte> bytes, const StateLimits& limits = {});

  // The table alone, indented: golden dumps and people. Blobs appear with their length.
  std::string PrettyText() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace nandu
