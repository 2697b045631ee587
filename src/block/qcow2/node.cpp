#include "block/qcow2/node.h"

#include <algorithm>

#include "base/log.h"
#include "block/policy_channel.h"
#include "block/qcow2/channel.h"

namespace nandu {
namespace {

constexpr uint8_t kAllButChanges = kPermissionAll & ~(kPermissionWrite | kPermissionResize);

// cache-size= is both caches together, as QEMU divides it.
Result<> DivideCaches(const Qcow2Config& config, uint64_t cluster_bytes, qcow2::OpenOptions* options) {
  options->l2_cache_bytes = config.l2_cache_size;
  options->refcount_cache_bytes = config.refcount_cache_size;
  options->l2_slice_bytes = config.l2_cache_entry_size.value_or(options->l2_slice_bytes);
  if (!config.cache_size) {
    return {};
  }
  const uint64_t all = *config.cache_size;
  if (config.l2_cache_size && config.refcount_cache_size) {
    return Fail(
        Errc::kInvalidArgument,
        "cache-size is l2-cache-size and refcount-cache-size together; give two of the three at most");
  }
  if (config.l2_cache_size.value_or(0) > all || config.refcount_cache_size.value_or(0) > all) {
    return Fail(Errc::kInvalidArgument, "a part of cache-size={} cannot be larger than that", all);
  }
  const uint64_t refcounts = config.l2_cache_size
                                 ? all - *config.l2_cache_size
                                 : config.refcount_cache_size.value_or(std::min(all / 2, 4 * cluster_bytes));
  options->refcount_cache_bytes = refcounts;
  options->l2_cache_bytes = all - refcounts;
  return {};
}

Qcow2Info AboutImage(const qcow2::Header& header, const std::vector<qcow2::Snapshot>& snapshots) {
  Qcow2Info about;
  about.version = header.version;
  about.cluster_bytes = header.cluster_bytes();
  about.refcount_bits = 1U << header.refcount_order;
  about.zstd = header.compression != 0;
  about.lazy_refcounts = header.lazy_refcounts();
  about.extended_l2 = header.extended_l2();
  about.dirty = (header.incompatible & qcow2::kDirty) != 0;
  about.backing_file = header.backing_file;
  about.backing_format = header.backing_format;
  about.data_file = header.data_file;
  about.raw_data_file = header.raw_external_data();
  for (const qcow2::Snapshot& snapshot : snapshots) {
    about.snapshots.push_back({snapshot.id, snapshot.name, snapshot.vm_state_bytes, snapshot.seconds,
                               snapshot.nanoseconds, snapshot.vm_clock_ns});
  }
  return about;
}

}  // namespace

Qcow2Node::Qcow2Node(const Qcow2Config& config, std::shared_ptr<GraphNode> file,
                     std::shared_ptr<GraphNode> data_file, std::shared_ptr<GraphNode> backing)
    : config_(config),
      file_(std::move(file)),
      data_file_(std::move(data_file)),
      backing_(std::move(backing)),
      image_(std::make_shared<qcow2::NodeImage>(file_->backend())) {}

Result<std::shared_ptr<Qcow2Node>> Qcow2Node::Create(const Qcow2Config& config,
                                                     std::shared_ptr<GraphNode> file,
                                                     std::shared_ptr<GraphNode> data_file,
                                                     std::shared_ptr<GraphNode> backing) {
  for (const GraphNode* node : {file.get(), data_file.get()}) {
    if (node != nullptr && node->backend() == nullptr) {
      return Fail(Errc::kUnsupported, "a qcow2 image lies in a file or host_device node; '{}' is a {} node",
                  node->node_name(), node->driver());
    }
  }
  const std::shared_ptr<Qcow2Node> node(
      new Qcow2Node(config, std::move(file), std::move(data_file), std::move(backing)));
  TRY(node->UseChildren());
  TRY(node->OpenImage());
  return node;
}

// Metadata may be written although no guest writes, so that the image is locked from the start.
Result<> Qcow2Node::UseChildren() {
  writable_ = !config_.read_only && !file_->limits().read_only;
  if (!writable_ && !config_.read_only && !config_.auto_read_only && !file_->configured_read_only()) {
    return Fail(Errc::kPermission, "'{}' is read-only; use read-only=on", file_->node_name());
  }
  ImageUse use{kPermissionConsistentRead, kAllButChanges};
  if (writable_) {
    use.used |= kPermissionWrite | kPermissionResize;
  }
  if (config_.force_share) {
    use.shared = kPermissionAll;
  }
  for (GraphNode* child : {file_.get(), data_file_.get()}) {
    if (child != nullptr) {
      TRY(child->AddUse(NameAtChild(), use));
      used_.push_back(child);
    }
  }
  if (backing_ != nullptr) {
    TRY(Prefix(
        backing_->AddUse(NameAtChild(), {kPermissionConsistentRead,
                                         config_.force_share ? uint8_t{kPermissionAll} : kAllButChanges}),
        "backing"));
    used_.push_back(backing_.get());
  }
  return {};
}

Result<> Qcow2Node::OpenImage() {
  TRY(image_->file.Refresh());
  const qcow2::Header header = TRY(qcow2::ReadHeader(image_->file));
  qcow2::OpenOptions options;
  options.file = &image_->file;
  options.writable = writable_;
  options.lazy_refcounts = config_.lazy_refcounts;
  options.discard_freed = config_.unmap;
  TRY(DivideCaches(config_, header.cluster_bytes(), &options));
  if (data_file_ != nullptr) {
    options.data_file = &image_->data_file.emplace(data_file_->backend());
    TRY(image_->data_file->Refresh());
  }
  if (backing_ != nullptr) {
    options.backing = &image_->backing.emplace(backing_);
  }
  const MutexLock lock(image_->mutex);
  image_->image = TRY(qcow2::Image::Open(options));
  image_->size_bytes = image_->image->size();
  image_->file_bytes = image_->data().size();
  image_->cluster_bytes = header.cluster_bytes();
  image_->write_through = config_.write_through || !file_->limits().write_cache;
  const uint64_t block = std::max(file_->backend()->offset_alignment,
                                  data_file_ != nullptr ? data_file_->backend()->offset_alignment : 1);
  image_->channels_write = header.subcluster_bytes() >= block;
  about_ = AboutImage(header, image_->image->snapshots());
  return {};
}

Qcow2Node::~Qcow2Node() {
  if (image_->image != nullptr && !released_) {
    const MutexLock lock(image_->mutex);
    if (const Result<> closed = image_->image->Close(); !closed) {
      Log(LogLevel::kError, "{}: {}", config_.node_name, closed.error().message);
    }
  }
  for (GraphNode* child : used_) {
    child->RemoveUse(NameAtChild());
  }
}

std::string Qcow2Node::NameAtChild() const { return Format("node '{}'", config_.node_name); }

std::vector<GraphNode*> Qcow2Node::Children() const {
  std::vector<GraphNode*> children{file_.get()};
  if (data_file_ != nullptr) {
    children.push_back(data_file_.get());
  }
  return children;
}

BlockLimits Qcow2Node::limits() const {
  BlockLimits limits = file_->limits();
  limits.size_bytes = image_->size_bytes;
  limits.read_only = !writable_;
  limits.discard_alignment = static_cast<uint32_t>(image_->cluster_bytes);
  limits.can_discard = writable_;
  limits.can_write_zeroes = writable_;
  return limits;
}

Result<std::unique_ptr<BlockChannel>> Qcow2Node::OpenChannel(EventLoop& loop) {
  std::unique_ptr<BlockChannel> data = TRY((data_file_ != nullptr ? data_file_ : file_)->OpenChannel(loop));
  std::unique_ptr<BlockChannel> backing;
  if (backing_ != nullptr) {
    backing = TRY(backing_->OpenChannel(loop));
  }
  NodePolicy policy;
  policy.size_bytes = std::shared_ptr<const std::atomic<uint64_t>>(image_, &image_->size_bytes);
  policy.unmap = config_.unmap;
  policy.detect_zeroes = config_.detect_zeroes;
  return std::make_unique<PolicyChannel>(
      loop, std::make_unique<qcow2::Channel>(loop, image_, std::move(data), std::move(backing)), policy);
}

// What is below follows in both directions: first our metadata, then the file's locks.
Result<> Qcow2Node::ReleaseImage() {
  if (!released_) {
    const MutexLock lock(image_->mutex);
    TRY(image_->image->Close());
    released_ = true;
  }
  for (GraphNode* child : Children()) {
    TRY(child->ReleaseImage());
  }
  return {};
}

Result<> Qcow2Node::ClaimImage() {
  for (GraphNode* child : Children()) {
    TRY(child->ClaimImage());
  }
  if (!released_) {
    return {};
  }
  const MutexLock lock(image_->mutex);
  TRY(image_->file.Refresh());
  if (image_->data_file) {
    TRY(image_->data_file->Refresh());
  }
  TRY(image_->image->Reload());
  image_->size_bytes = image_->image->size();
  image_->file_bytes = image_->data().size();
  released_ = false;
  return {};
}

Result<> Qcow2Node::AddUse(const std::string& user, const ImageUse& use) {
  if ((use.used & (kPermissionWrite | kPermissionResize)) != 0 && !writable_) {
    if (config_.read_only) {
      return Fail(Errc::kPermission, "'{}' is read-only", config_.node_name);
    }
    // The file says why.
    TRY(file_->AddUse(user, {kPermissionWrite, kPermissionAll}));
    file_->RemoveUse(user);
    return Fail(Errc::kPermission, "'{}' was opened read-only", config_.node_name);
  }
  TRY(CheckUses(config_.node_name, users_, use));
  users_.push_back({user, use});
  return {};
}

void Qcow2Node::RemoveUse(const std::string& user) { EraseUse(&users_, user); }

Result<> Qcow2Node::FlushImage() {
  const MutexLock lock(image_->mutex);
  return released_ ? Result<>() : image_->image->Flush();
}

Result<> Qcow2Node::ReadBlocking(uint64_t offset, std::span<const iovec> into) {
  const MutexLock lock(image_->mutex);
  return image_->image->Readv(offset, into);
}

Result<> Qcow2Node::CheckResize(uint64_t size_bytes) const {
  if (!writable_) {
    return Fail(Errc::kPermission, "it is read-only");
  }
  if (size_bytes < image_->size_bytes && !users_.empty()) {
    return Fail(Errc::kUnsupported, "it has {} bytes and {} uses it; a disk in use is only made larger",
                image_->size_bytes.load(), users_.front().name);
  }
  return {};
}

Result<> Qcow2Node::ResizeImage(uint64_t size_bytes) {
  const MutexLock lock(image_->mutex);
  Result<> resized = image_->image->Resize(size_bytes);
  new_size_bytes_ = image_->image->size();
  image_->file_bytes = image_->data().size();
  return resized;
}

void Qcow2Node::ShowNewSize() {
  image_->size_bytes = new_size_bytes_.load();
  TellSize();
}

NodeInfo Qcow2Node::info() const {
  NodeInfo info = file_->info();
  info.child = info.node_name;
  if (data_file_ != nullptr) {
    info.data_file = data_file_->node_name();
    info.allocated_bytes += data_file_->info().allocated_bytes;
  }
  info.backing = backing_ != nullptr ? backing_->node_name() : "";
  info.node_name = config_.node_name;
  info.driver = driver();
  info.size_bytes = image_->size_bytes;
  info.read_only = !writable_;
  info.detect_zeroes = config_.detect_zeroes;
  info.qcow2 = about_;
  info.qcow2->corrupt = image_->image->corrupt();
  info.users.clear();
  for (const NodeUser& user : users_) {
    info.users.push_back(user.name);
  }
  return info;
}

}  // namespace nandu
