#include "state/state.h"

#include <boost/json/value.hpp>

#include "state/document.h"

namespace nandu {

StateWriter::StateWriter(StateDocument& document, std::string id)
    : document_(&document), id_(std::move(id)) {}

StateWriter StateWriter::Child(std::string_view name) const {
  return {*document_, Format("{}/{}", id_, name)};
}

void StateWriter::PutSection(const TypeInfo& type, const void* state, uint32_t version) const {
  document_->PutSection(id_, version, ToJson(type, state));
}

void StateWriter::PutBlob(std::string_view name, std::span<const std::byte> bytes) const {
  document_->PutBlob(Format("{}/{}", id_, name), bytes);
}

StateReader::StateReader(const StateDocument& document, std::string id)
    : document_(&document), id_(std::move(id)) {}

StateReader StateReader::Child(std::string_view name) const {
  return {*document_, Format("{}/{}", id_, name)};
}

bool StateReader::Has() const { return document_->HasSection(id_); }

Result<> StateReader::GetSection(const TypeInfo& type, void* state, uint32_t version) const {
  const StateDocument::SectionView section = document_->FindSection(id_);
  if (section.state == nullptr) {
    return Fail(Errc::kNotFound, "{}: the saved state has no such section", id_);
  }
  if (section.version == 0 || section.version > version) {
    return Fail(Errc::kUnsupported, "{}: its version {} is newer than {}, the newest this nandu reads", id_,
                section.version, version);
  }
  return FromJson(type, state, *section.state, {.path = id_, .field_word = "field"});
}

Result<std::vector<std::byte>> StateReader::GetBlob(std::string_view name, uint64_t max_bytes) const {
  const std::string id = Format("{}/{}", id_, name);
  const std::vector<std::byte>* blob = document_->FindBlob(id);
  if (blob == nullptr) {
    return Fail(Errc::kNotFound, "{}: the saved state has no such blob", id);
  }
  if (blob->size() > max_bytes) {
    return Fail(Errc::kCorrupt, "{}: {} bytes are more than the {} it may have", id, blob->size(), max_bytes);
  }
  return *blob;
}

}  // namespace nandu
