#include "state/document.h"

#include <boost/json/value.hpp>
#include <cstring>
#include <map>

#include "base/check.h"
#include "base/described.h"
#include "base/json.h"

namespace nandu {

namespace state_wire {
// The table's own shape, read by the same walker as everything else.
struct SectionRow {
  std::string id;
  uint32_t version = 0;
  boost::json::value state;
};
BOOST_DESCRIBE_STRUCT(SectionRow, (), (id, version, state))
struct BlobRow {
  std::string id;
  uint64_t bytes = 0;
};
BOOST_DESCRIBE_STRUCT(BlobRow, (), (id, bytes))
struct Table {
  std::vector<SectionRow> sections;
  std::vector<BlobRow> blobs;
};
BOOST_DESCRIBE_STRUCT(Table, (), (sections, blobs))
}  // namespace state_wire

namespace {

constexpr std::string_view kMagic = "nandust1";
constexpr size_t kHeaderBytes = 16;
constexpr size_t kLongestId = 255;

bool IsId(std::string_view id) {
  if (!id.starts_with('/') || id.size() > kLongestId) {
    return false;
  }
  for (const char c : id) {
    if (c <= ' ' || c > '~') {
      return false;
    }
  }
  return true;
}

// Ids in the order they were written: valid and ascending, hence each there once.
template <class Row>
Result<> CheckIds(const std::vector<Row>& rows) {
  const std::string* before = nullptr;
  for (const Row& row : rows) {
    if (!IsId(row.id)) {
      return Fail(Errc::kCorrupt, "'{}' is no id of a section or blob", row.id.substr(0, 64));
    }
    if (before != nullptr && !(*before < row.id)) {
      return Fail(Errc::kCorrupt, "'{}' stands after '{}': ids must ascend", row.id, *before);
    }
    before = &row.id;
  }
  return {};
}

}  // namespace

struct StateDocument::Rep {
  struct Section {
    uint32_t version = 0;
    boost::json::value state;
    mutable bool read = false;
  };
  struct Blob {
    std::vector<std::byte> bytes;
    mutable bool read = false;
  };
  std::map<std::string, Section, std::less<>> sections;
  std::map<std::string, Blob, std::less<>> blobs;

  boost::json::value Table() const {
    state_wire::Table table;
    for (const auto& [id, section] : sections) {
      table.sections.push_back({id, section.version, section.state});
    }
    for (const auto& [id, blob] : blobs) {
      table.blobs.push_back({id, blob.bytes.size()});
    }
    return ToJson(TypeOf<state_wire::Table>(), &table);
  }
};

StateDocument::StateDocument() : rep_(std::make_unique<Rep>()) {}
StateDocument::StateDocument(StateDocument&&) noexcept = default;
StateDocument& StateDocument::operator=(StateDocument&&) noexcept = default;
StateDocument::~StateDocument() = default;

void StateDocument::PutSection(std::string_view id, uint32_t version, boost::json::value state) {
  NANDU_CHECK(IsId(id), "a section's id is a path of printable characters");
  const bool fresh =
      rep_->sections.try_emplace(std::string(id), Rep::Section{version, std::move(state)}).second;
  NANDU_CHECK(fresh, "a section is written once");
}

void StateDocument::PutBlob(std::string_view id, std::span<const std::byte> bytes) {
  NANDU_CHECK(IsId(id), "a blob's id is a path of printable characters");
  const bool fresh = rep_->blobs.try_emplace(std::string(id), Rep::Blob{{bytes.begin(), bytes.end()}}).second;
  NANDU_CHECK(fresh, "a blob is written once");
}

StateDocument::SectionView StateDocument::FindSection(std::string_view id) const {
  const auto at = rep_->sections.find(id);
  if (at == rep_->sections.end()) {
    return {};
  }
  at->second.read = true;
  return {at->second.version, &at->second.state};
}

bool StateDocument::HasSection(std::string_view id) const { return rep_->sections.contains(id); }

const std::vector<std::byte>* StateDocument::FindBlob(std::string_view id) const {
  const auto at = rep_->blobs.find(id);
  if (at == rep_->blobs.end()) {
    return nullptr;
  }
  at->second.read = true;
  return &at->second.bytes;
}

std::vector<std::string> StateDocument::Unread() const {
  std::vector<std::string> ids;
  for (const auto& [id, section] : rep_->sections) {
    if (!section.read) {
      ids.push_back(id);
    }
  }
  for (const auto& [id, blob] : rep_->blobs) {
    if (!blob.read) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::vector<std::byte> StateDocument::Serialize() const {
  const std::string table = JsonText(rep_->Table());
  std::vector<std::byte> bytes(kHeaderBytes + table.size());
  const uint64_t table_bytes = table.size();
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  std::memcpy(bytes.data() + kMagic.size(), &table_bytes, sizeof table_bytes);  // x86: little-endian
  std::memcpy(bytes.data() + kHeaderBytes, table.data(), table.size());
  for (const auto& [id, blob] : rep_->blobs) {
    bytes.insert(bytes.end(), blob.bytes.begin(), blob.bytes.end());
  }
  return bytes;
}

Result<StateDocument> StateDocument::Parse(std::span<const std::byte> bytes, const StateLimits& limits) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return Fail(Errc::kCorrupt, "this is no saved state of nandu");
  }
  uint64_t table_bytes = 0;
  std::memcpy(&table_bytes, bytes.data() + kMagic.size(), sizeof table_bytes);
  bytes = bytes.subspan(kHeaderBytes);
  if (table_bytes > bytes.size()) {
    return Fail(Errc::kCorrupt, "saved state: cut off inside its table");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), table_bytes);
  bytes = bytes.subspan(table_bytes);
  const JsonLimits json_limits{.max_bytes = limits.max_table_bytes, .max_values = limits.max_values};
  const boost::json::value value = TRY(Prefix(ParseJson(text, json_limits), "saved state"));
  const auto table =
      TRY(FromJson<state_wire::Table>(value, {.path = "saved state", .absent = AbsentFields::kRefuse}));
  if (table.sections.size() + table.blobs.size() > limits.max_ids) {
    return Fail(Errc::kCorrupt, "saved state: more than {} sections and blobs", limits.max_ids);
  }
  TRY(Prefix(CheckIds(table.sections), "saved state"));
  TRY(Prefix(CheckIds(table.blobs), "saved state"));

  StateDocument document;
  for (const state_wire::SectionRow& row : table.sections) {
    document.PutSection(row.id, row.version, row.state);
  }
  for (const state_wire::BlobRow& row : table.blobs) {
    if (row.bytes > bytes.size()) {
      return Fail(Errc::kCorrupt, "saved state: cut off inside blob '{}'", row.id);
    }
    document.PutBlob(row.id, bytes.first(row.bytes));
    bytes = bytes.subspan(row.bytes);
  }
  if (!bytes.empty()) {
    return Fail(Errc::kCorrupt, "saved state: {} bytes follow the last blob", bytes.size());
  }
  return document;
}

std::string StateDocument::PrettyText() const { return PrettyJsonText(rep_->Table()) + "\n"; }

}  // namespace nandu
