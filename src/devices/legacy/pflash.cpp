#include "devices/legacy/pflash.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "state/state.h"

namespace nandu {

namespace {

constexpr int kOverRam = 1;
// Bytes that change one by one are kept when they leave such a stretch, or the guest reads again.
constexpr uint64_t kStretchBytes = 4096;

}  // namespace

class Pflash::Registers final : public IoHandler {
 public:
  explicit Registers(Pflash& chip) : chip_(chip) {}
  std::string_view name() const override { return "pflash"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    const MutexLock lock(chip_.mutex_);
    return chip_.chip_.Read(offset, size);
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    return chip_.Write(offset, size, value);
  }

 private:
  Pflash& chip_;
};

Pflash::Pflash(unsigned number, std::shared_ptr<FlashStore> store, std::shared_ptr<RamBlock> array,
               uint64_t end)
    : LegacyDevice(Format("#pflash{}", number), "cfi.pflash01", Format("/machine/pflash{}", number)),
      store_(std::move(store)),
      array_(std::move(array)),
      base_(end - array_->size()),
      chip_(array_->bytes(),
            store_->limits().read_only ? CfiFlash::Writes::kRefused : CfiFlash::Writes::kStay) {}

Result<std::unique_ptr<Pflash>> Pflash::Create(DeviceHost& host, unsigned number, const std::string& drive,
                                               uint64_t end) {
  const std::string name = Format("pflash{}", number);
  std::shared_ptr<BlockNode> node = TRY(host.ClaimBlockNode(drive, name));
  const uint64_t bytes = node->limits().size_bytes;
  if (bytes == 0 || bytes % CfiFlash::kBlockBytes != 0 || bytes > kMostBytes) {
    return Fail(Errc::kInvalidArgument,
                "{}: '{}' has {} bytes; a flash has a multiple of {}, and all of them 8 MiB at most", name,
                drive, bytes, CfiFlash::kBlockBytes);
  }
  EventLoop* const loop = TRY(host.FindIoLoop(""));
  std::shared_ptr<FlashStore> store = TRY(FlashStore::Create(name, *loop, std::move(node)));
  std::shared_ptr<RamBlock> array =
      TRY(RamBlock::CreateAnonymous("system.flash" + std::to_string(number), bytes, {.huge_pages = false}));
  std::unique_ptr<Pflash> chip(new Pflash(number, std::move(store), std::move(array), end));
  TRY(chip->store_->Load(chip->array_->bytes()));
  chip->mapping_ = TRY(host.memory_space().Map(
      chip->base_, Region::RomDevice(chip->array_, bytes, std::make_shared<Registers>(*chip)), kOverRam));
  return chip;
}

Pflash::~Pflash() {
  mapping_ = Mapping();
  store_->Close();
}

// Hands what changed to the store, in whole units of it.
std::shared_ptr<ParkedExit> Pflash::KeepLocked() {
  const std::optional<CfiFlash::Range> changed = std::exchange(changed_, std::nullopt);
  if (!changed) {
    return nullptr;
  }
  const uint64_t unit = std::max<uint64_t>(store_->unit(), 1);
  const uint64_t begin = AlignDown(changed->offset, unit);
  const uint64_t end = std::min(AlignUp(changed->offset + changed->bytes, unit), array_->size());
  return store_->Store(begin, array_->bytes().subspan(begin, end - begin));
}

// Adds to what is not yet kept.
void Pflash::NoteLocked(const CfiFlash::Range& changed) {
  array_->MarkDirty(changed.offset, changed.bytes);
  if (!changed_) {
    changed_ = changed;
    return;
  }
  const uint64_t begin = std::min(changed_->offset, changed.offset);
  const uint64_t end = std::max(changed_->offset + changed_->bytes, changed.offset + changed.bytes);
  changed_ = CfiFlash::Range{begin, end - begin};
}

ExitDone Pflash::Write(uint64_t offset, unsigned size, uint64_t value) {
  std::vector<std::shared_ptr<ParkedExit>> tokens;
  bool mode_changed = false;
  {
    const MutexLock lock(mutex_);
    const bool was_memory = chip_.is_memory();
    const CfiFlash::Outcome outcome = chip_.Write(offset, size, value);
    mode_changed = was_memory != chip_.is_memory();
    if (outcome.changed) {
      if (changed_ && changed_->offset / kStretchBytes != outcome.changed->offset / kStretchBytes) {
        tokens.push_back(KeepLocked());
      }
      NoteLocked(*outcome.changed);
    }
    if (outcome.settled && changed_) {
      tokens.push_back(KeepLocked());
    }
  }
  if (mode_changed) {
    FollowMode();
  }
  return ParkForAll(std::move(tokens));
}

void Pflash::FollowMode() {
  // Within the transaction, so that of two vCPUs that write at once the later one's command counts.
  const AddressSpace::Transaction transaction;
  bool memory = false;
  {
    const MutexLock lock(mutex_);
    memory = chip_.is_memory();
  }
  mapping_.SetRomMode(memory);
}

void Pflash::Reset() {
  {
    const MutexLock lock(mutex_);
    static_cast<void>(KeepLocked());
    chip_.Reset();
  }
  FollowMode();
}

void Pflash::Quiesce(UniqueFunction<void()> done) {
  {
    const MutexLock lock(mutex_);
    static_cast<void>(KeepLocked());
  }
  store_->WhenIdle(std::move(done));
}

std::vector<std::string> Pflash::StuckRequests() const {
  if (!store_->busy()) {
    return {};
  }
  return {Format("{}: writing its flash", id())};
}

void Pflash::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  writer.Put(chip_.state());
}

Result<> Pflash::Load(const StateReader& reader) {
  const CfiFlashState state = TRY(reader.Get<CfiFlashState>());
  {
    const MutexLock lock(mutex_);
    TRY(Prefix(chip_.Load(state), id()));
  }
  FollowMode();
  return {};
}

}  // namespace nandu
