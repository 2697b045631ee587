#include "devices/legacy/fw_cfg.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/checked.h"
#include "devices/legacy/fw_cfg_wire.h"
#include "state/state.h"

namespace nandu {

namespace {

constexpr uint64_t kPortsBytes = 2;
constexpr uint64_t kDmaPortsBytes = 8;

uint64_t ListedSize(const FwCfg::Content& content) {
  return std::max<uint64_t>(content.size, content.bytes.size());
}

}  // namespace

// One byte of data at either port; a selector is sixteen bits wide.
class FwCfg::Ports final : public IoHandler {
 public:
  explicit Ports(FwCfg& device) : device_(device) {}
  std::string_view name() const override { return "fw_cfg"; }
  uint64_t Read(uint64_t /*offset*/, unsigned size) override {
    if (size != 1) {
      device_.counters_.ignored.Add();
      return 0;
    }
    return device_.ReadByte();
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    if (offset == 0 && size == 2) {
      device_.Select(static_cast<uint16_t>(value));
    } else {
      device_.counters_.ignored.Add();
    }
    return ExitDone::Done();
  }

 private:
  FwCfg& device_;
};

// The address of a descriptor, big-endian: writing its lower half starts the transfer.
class FwCfg::DmaPorts final : public IoHandler {
 public:
  explicit DmaPorts(FwCfg& device) : device_(device) {}
  std::string_view name() const override { return "fw_cfg dma"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      value |= static_cast<uint64_t>(fw_cfg::kDmaSignature.at(offset + i)) << (8 * i);
    }
    return value;
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    if (size != 4 || offset % 4 != 0) {
      device_.counters_.ignored.Add();
      return ExitDone::Done();
    }
    const uint32_t half = __builtin_bswap32(static_cast<uint32_t>(value));
    uint64_t descriptor = 0;
    {
      const MutexLock lock(device_.mutex_);
      if (offset == 0) {
        device_.dma_address_ = half;
        return ExitDone::Done();
      }
      descriptor = uint64_t{std::exchange(device_.dma_address_, 0)} << 32 | half;
    }
    device_.RunDma(descriptor);
    return ExitDone::Done();
  }

 private:
  FwCfg& device_;
};

FwCfg::FwCfg(DeviceHost& host) : LegacyDevice("#fw_cfg", "fw_cfg_io", "/machine/fw_cfg"), host_(host) {
  const MutexLock lock(mutex_);
  NumberFilesLocked();
}

Result<std::unique_ptr<FwCfg>> FwCfg::Create(DeviceHost& host) {
  std::unique_ptr<FwCfg> device(new FwCfg(host));
  AddressSpace& io = host.io_space();
  device->ports_ = TRY(io.Map(kBase, Region::Io(std::make_shared<Ports>(*device), kPortsBytes)));
  device->dma_ports_ = TRY(io.Map(kDmaBase, Region::Io(std::make_shared<DmaPorts>(*device), kDmaPortsBytes)));
  return device;
}

FwCfg::~FwCfg() = default;

void FwCfg::SetItem(uint16_t selector, Content content) {
  const MutexLock lock(mutex_);
  items_[selector] = std::move(content);
}

Result<> FwCfg::AddFile(const std::string& name, Content content) {
  if (name.empty() || name.size() > kMostNameBytes) {
    return Fail(Errc::kInvalidArgument, "fw_cfg: the name '{}' has {} bytes; a file's has 1 to {}", name,
                name.size(), kMostNameBytes);
  }
  const MutexLock lock(mutex_);
  if (files_.contains(name)) {
    return Fail(Errc::kExists, "fw_cfg: there is a file '{}' already", name);
  }
  if (files_.size() == kMostFiles) {
    return Fail(Errc::kNoMemory, "fw_cfg: no room for file '{}': there are {} already; give fewer -fw_cfg",
                name, kMostFiles);
  }
  if (ListedSize(content) > UINT32_MAX) {
    return Fail(Errc::kInvalidArgument, "fw_cfg: file '{}' has {} bytes; 4 GiB and more are not possible",
                name, ListedSize(content));
  }
  if (content.writable) {
    initial_[name] = content.bytes;
  }
  files_[name] = std::move(content);
  NumberFilesLocked();
  return {};
}

void FwCfg::NumberFilesLocked() {
  numbered_.clear();
  fw_cfg::DirectoryWriter directory(files_.size());
  for (auto& [name, content] : files_) {
    const auto selector = static_cast<uint16_t>(kFirstFile + numbered_.size());
    directory.Add(name, selector, static_cast<uint32_t>(ListedSize(content)));
    numbered_.push_back(&content);
  }
  directory_.bytes = directory.Take();
}

std::vector<std::string> FwCfg::files() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, content] : files_) {
    names.push_back(name);
  }
  return names;
}

std::vector<uint8_t> FwCfg::FileBytes(std::string_view name) const {
  const MutexLock lock(mutex_);
  const auto found = files_.find(std::string(name));
  return found == files_.end() ? std::vector<uint8_t>() : found->second.bytes;
}

void FwCfg::Select(uint16_t selector) {
  std::function<std::vector<uint8_t>()> refresh;
  {
    const MutexLock lock(mutex_);
    selector_ = selector;
    offset_ = 0;
    const Content* const content = CurrentLocked();
    if (content == nullptr || !content->refresh) {
      return;
    }
    refresh = content->refresh;
  }
  std::vector<uint8_t> bytes = refresh();
  const MutexLock lock(mutex_);
  if (Content* const content = CurrentLocked(); selector_ == selector && content != nullptr) {
    content->bytes = std::move(bytes);
  }
}

FwCfg::Content* FwCfg::CurrentLocked() {
  if (selector_ == fw_cfg::kDirectory) {
    return &directory_;
  }
  const uint16_t key = selector_ & static_cast<uint16_t>(~fw_cfg::kWriteChannel);
  if (key >= kFirstFile && key < kFirstFile + numbered_.size()) {
    return numbered_[key - kFirstFile];
  }
  const auto found = items_.find(key);
  return found == items_.end() ? nullptr : &found->second;
}

uint8_t FwCfg::ReadByte() {
  const MutexLock lock(mutex_);
  const Content* const content = CurrentLocked();
  if (content == nullptr || offset_ >= ListedSize(*content)) {
    return 0;
  }
  uint8_t byte = 0;
  if (content->read) {
    static_cast<void>(content->read(offset_, &byte, 1));
  } else if (offset_ < content->bytes.size()) {
    byte = content->bytes[offset_];
  }
  offset_++;
  return byte;
}

void FwCfg::Reset() {
  const MutexLock lock(mutex_);
  selector_ = 0;
  offset_ = 0;
  dma_address_ = 0;
  for (const auto& [name, bytes] : initial_) {
    files_.at(name).bytes = bytes;
  }
}

void FwCfg::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  FwCfgState state{.selector = selector_, .offset = offset_, .dma_address = dma_address_, .written = {}};
  for (const auto& [name, content] : files_) {
    if (content.writable) {
      FwCfgWrittenFile file{.name = name, .bytes = std::vector<std::byte>(content.bytes.size())};
      std::ranges::transform(content.bytes, file.bytes.begin(), [](uint8_t b) { return std::byte{b}; });
      state.written.push_back(std::move(file));
    }
  }
  writer.Put(state);
}

Result<> FwCfg::Load(const StateReader& reader) {
  const FwCfgState state = TRY(reader.Get<FwCfgState>());
  const MutexLock lock(mutex_);
  std::vector<std::pair<Content*, std::vector<uint8_t>>> loaded;
  for (const FwCfgWrittenFile& file : state.written) {
    const auto found = files_.find(file.name);
    if (found == files_.end() || !found->second.writable || found->second.bytes.size() != file.bytes.size()) {
      return Fail(Errc::kCorrupt, "fw_cfg: here is no file '{}' of {} bytes that a guest may write",
                  file.name, file.bytes.size());
    }
    std::vector<uint8_t> bytes(file.bytes.size());
    std::ranges::transform(file.bytes, bytes.begin(), [](std::byte b) { return static_cast<uint8_t>(b); });
    loaded.emplace_back(&found->second, std::move(bytes));
  }
  for (auto& [content, bytes] : loaded) {
    content->bytes = std::move(bytes);
  }
  selector_ = state.selector;
  offset_ = state.offset;
  dma_address_ = state.dma_address;
  return {};
}

}  // namespace nandu
