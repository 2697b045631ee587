#include "memory/address_space.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "memory/flat_render.h"

namespace nandu {

struct AddressSpace::Impl {
  // All but `view` is guarded by the commit lock.
  std::vector<MappedRegion> mappings;
  uint64_t next_id = 1;
  VcpuBarrier* barrier = nullptr;
  std::vector<FlatViewListener*> listeners;
  bool touched = false;  // its mappings changed in the open transaction
  AddressSpace* next_touched = nullptr;

  Mutex view_mutex;
  std::shared_ptr<const FlatView> view NANDU_TA(guarded_by(view_mutex));

  MappedRegion& Find(uint64_t id) {
    const auto found = std::find_if(mappings.begin(), mappings.end(),
                                    [id](const MappedRegion& mapping) { return mapping.id == id; });
    NANDU_CHECK(found != mappings.end(), "a mapping exists until its owner drops it");
    return *found;
  }
};

// One lock for the commits of all address spaces, so that a change of memory and I/O ports in one exit is one
// transaction and two vCPUs that commit in both cannot wait for each other. Its holder may take leaf mutexes
// of devices; never the other way round.
class CommitLock {
 public:
  static void Begin() {
    if (open_transactions_++ == 0) {
      mutex_.lock();
    }
  }
  static void End() {
    if (open_transactions_ == 1) {
      const std::vector<Change> changes = CommitTouched();
      open_transactions_ = 0;
      mutex_.unlock();
      // What only the old views held (handlers, RAM) is destroyed here, with no lock held.
      return;
    }
    open_transactions_--;
  }
  static void Touch(AddressSpace& space) {
    if (!std::exchange(space.impl_->touched, true)) {
      space.impl_->next_touched = std::exchange(touched_, &space);
    }
  }

 private:
  struct Change {
    AddressSpace* space;
    std::shared_ptr<const FlatView> from;
    std::shared_ptr<const FlatView> to;
  };

  static std::vector<Change> CommitTouched() {
    std::vector<Change> changes;
    while (AddressSpace* const space = touched_) {
      touched_ = space->impl_->next_touched;
      space->impl_->touched = false;
      std::shared_ptr<const FlatView> from = space->view();
      std::shared_ptr<const FlatView> to = RenderFlatView(space->impl_->mappings, space->size_, from.get());
      if (!to->SameAs(*from)) {
        changes.push_back(Change{space, std::move(from), std::move(to)});
      }
    }
    std::vector<VcpuBarrier*> barriers;
    for (const Change& change : changes) {
      VcpuBarrier* const barrier = change.space->impl_->barrier;
      if (barrier != nullptr && std::find(barriers.begin(), barriers.end(), barrier) == barriers.end()) {
        barriers.push_back(barrier);
        barrier->Enter();
      }
    }
    for (const Change& change : changes) {
      for (FlatViewListener* const listener : change.space->impl_->listeners) {
        listener->Commit(change.from.get(), *change.to);
      }
      Publish(*change.space, change.to);
    }
    for (VcpuBarrier* const barrier : barriers) {
      barrier->Leave();
    }
    return changes;
  }

  static void Publish(AddressSpace& space, std::shared_ptr<const FlatView> view) {
    {
      const MutexLock lock(space.impl_->view_mutex);
      space.impl_->view = std::move(view);
    }
    space.generation_.fetch_add(1, std::memory_order_release);
  }

  static std::mutex mutex_;
  static AddressSpace* touched_;
  static thread_local unsigned open_transactions_;
};

std::mutex CommitLock::mutex_;
AddressSpace* CommitLock::touched_ = nullptr;
thread_local unsigned CommitLock::open_transactions_ = 0;

AddressSpace::Transaction::Transaction() { CommitLock::Begin(); }
AddressSpace::Transaction::Transaction(AddressSpace& /*space*/) { CommitLock::Begin(); }
AddressSpace::Transaction::~Transaction() { CommitLock::End(); }

AddressSpace::AddressSpace(std::string name, uint64_t size)
    : name_(std::move(name)), size_(size), impl_(std::make_unique<Impl>()) {
  const MutexLock lock(impl_->view_mutex);
  impl_->view = RenderFlatView({}, size_, nullptr);
}

AddressSpace::~AddressSpace() {
  NANDU_CHECK(impl_->mappings.empty(), "an address space outlives its mappings");
  NANDU_CHECK(!impl_->touched, "an address space outlives the transactions that change it");
}

Result<Mapping> AddressSpace::Map(uint64_t base, Region region, int priority, bool enabled) {
  if (!FitsSpace(base, region.size(), size_)) {
    return Fail(Errc::kInvalidArgument, "{} bytes at {:#x} do not fit address space {}", region.size(), base,
                name_);
  }
  const Transaction transaction(*this);
  const uint64_t id = impl_->next_id++;
  const bool readonly = region.readonly();
  impl_->mappings.push_back(MappedRegion{.id = id,
                                         .base = base,
                                         .priority = priority,
                                         .enabled = enabled,
                                         .readonly = readonly,
                                         .region = std::move(region)});
  CommitLock::Touch(*this);
  return Mapping(this, id);
}

void AddressSpace::SetBarrier(VcpuBarrier* barrier) {
  const Transaction transaction(*this);
  impl_->barrier = barrier;
}

void AddressSpace::AddListener(FlatViewListener* listener) {
  const Transaction transaction(*this);
  impl_->listeners.push_back(listener);
  const std::shared_ptr<const FlatView> now = view();
  if (impl_->barrier != nullptr) {
    impl_->barrier->Enter();
  }
  listener->Commit(nullptr, *now);
  if (impl_->barrier != nullptr) {
    impl_->barrier->Leave();
  }
}

void AddressSpace::RemoveListener(FlatViewListener* listener) {
  const Transaction transaction(*this);
  std::erase(impl_->listeners, listener);
}

std::shared_ptr<const FlatView> AddressSpace::view() const {
  const MutexLock lock(impl_->view_mutex);
  return impl_->view;
}

Mapping::Mapping(Mapping&& other) noexcept : space_(std::exchange(other.space_, nullptr)), id_(other.id_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    Drop();
    space_ = std::exchange(other.space_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

Mapping::~Mapping() { Drop(); }

void Mapping::Drop() {
  AddressSpace* const space = std::exchange(space_, nullptr);
  if (space == nullptr) {
    return;
  }
  std::vector<MappedRegion> dropped;  // destroyed last: its handler may drop mappings of its own
  const AddressSpace::Transaction transaction(*space);
  std::vector<MappedRegion>& mappings = space->impl_->mappings;
  const auto found = std::find_if(mappings.begin(), mappings.end(),
                                  [this](const MappedRegion& mapping) { return mapping.id == id_; });
  NANDU_CHECK(found != mappings.end(), "a mapping exists until its owner drops it");
  dropped.push_back(std::move(*found));
  mappings.erase(found);
  CommitLock::Touch(*space);
}

template <class Change>
void Mapping::Apply(Change change) {
  NANDU_CHECK(space_ != nullptr, "only a mapping that maps something is changed");
  const AddressSpace::Transaction transaction(*space_);
  change(space_->impl_->Find(id_));
  CommitLock::Touch(*space_);
}

void Mapping::SetEnabled(bool enabled) {
  Apply([enabled](MappedRegion& mapping) { mapping.enabled = enabled; });
}

void Mapping::Move(uint64_t base) {
  Apply([base](MappedRegion& mapping) { mapping.base = base; });
}

void Mapping::SetReadonly(bool readonly) {
  Apply([readonly](MappedRegion& mapping) {
    NANDU_CHECK(mapping.region.kind() == Region::Kind::kRam, "only RAM is made read-only");
    mapping.readonly = readonly;
  });
}

void Mapping::SetRomMode(bool memory) {
  Apply([memory](MappedRegion& mapping) {
    NANDU_CHECK(mapping.region.kind() == Region::Kind::kRam && mapping.region.handler() != nullptr,
                "only a ROM device has modes");
    mapping.rom_mode = memory;
  });
}

void Mapping::SetEvents(std::vector<IoEvent> events) {
  Apply([&events](MappedRegion& mapping) { mapping.region.set_events(std::move(events)); });
}

}  // namespace nandu
