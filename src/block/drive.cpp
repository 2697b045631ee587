// -drive: a raw or qcow2 node (or what the first bytes say) over a file or block device, from one flat list
// of options.
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "block/block_graph.h"
#include "block/file_node.h"
#include "block/image_format.h"
#include "block/raw_node.h"

namespace nandu {
namespace {

// "nbd://host", "json:{}": not a path. A slash before the colon makes it one, as QEMU reads it.
bool NamesProtocol(const std::string& file) {
  const size_t at = file.find_first_of(":/");
  return at != std::string::npos && file[at] == ':' && at > 0;
}

bool IsBlockDevice(Opener& opener, const std::string& path) {
  struct stat status {};
  const auto found = opener.Open(path, O_PATH);
  return found && ::fstat(found->get(), &status) == 0 && S_ISBLK(status.st_mode);
}

// Switches of the mode, then the ones given alone.
CacheSwitches CacheOf(const DriveOptions& drive) {
  CacheSwitches cache = SwitchesOf(drive.cache.value_or(CacheMode::kWriteback));
  cache.direct = drive.cache_direct.value_or(cache.direct);
  cache.no_flush = drive.cache_no_flush.value_or(cache.no_flush);
  cache.write_cache = drive.cache_writeback.value_or(cache.write_cache);
  return cache;
}

Result<> RefuseOtherFormats(std::string_view format, std::string_view path) {
  return Fail(Errc::kUnsupported,
              "{} is a {} image, which nandu does not read; make a qcow2 one: qemu-img convert -O qcow2",
              path, format);
}

// Options of one format that the drive's is not.
Result<> CheckFormatsOptions(const DriveOptions& drive, std::string_view format) {
  if ((format == "file" || format == "host_device") && (drive.offset || drive.size)) {
    return Fail(Errc::kInvalidArgument, "offset= and size= are format=raw's");
  }
  const bool qcow2_options = drive.lazy_refcounts || drive.cache_size || drive.l2_cache_size ||
                             drive.l2_cache_entry_size || drive.refcount_cache_size;
  if (qcow2_options && format != "qcow2") {
    return Fail(Errc::kInvalidArgument,
                "lazy-refcounts= and the sizes of metadata caches are format=qcow2's");
  }
  return {};
}

Qcow2Config Qcow2Of(const DriveOptions& drive, const FileConfig& file, const std::string& node_name) {
  Qcow2Config qcow2;
  qcow2.node_name = node_name;
  qcow2.read_only = file.read_only;
  qcow2.auto_read_only = file.auto_read_only;
  qcow2.force_share = file.force_share;
  qcow2.write_through = file.write_through;
  qcow2.unmap = Unmaps(drive.discard);
  qcow2.detect_zeroes = drive.detect_zeroes.value_or(DetectZeroes::kOff);
  qcow2.lazy_refcounts = drive.lazy_refcounts;
  qcow2.cache_size = drive.cache_size;
  qcow2.l2_cache_size = drive.l2_cache_size;
  qcow2.l2_cache_entry_size = drive.l2_cache_entry_size;
  qcow2.refcount_cache_size = drive.refcount_cache_size;
  return qcow2;
}

}  // namespace

Result<> BlockGraph::AddDrive(const std::string& id, const boost::json::object& options) {
  WalkOptions walk;
  walk.path = id;
  walk.field_word = "option";
  walk.lenient = true;
  const DriveOptions drive = TRY(FromJson<DriveOptions>(options, walk));
  TRY(CheckNameIsFree(id));
  drives_[id] = TRY(Prefix(AllOrNothing([&] { return BuildDrive(drive); }), id));
  return {};
}

Result<> BlockGraph::AddEmptyDrive(const std::string& id) {
  TRY(CheckNameIsFree(id));
  empty_drives_.insert(id);
  return {};
}

Result<std::string> BlockGraph::AddMedium(const boost::json::object& options) {
  WalkOptions walk;
  walk.field_word = "option";
  walk.lenient = true;
  const DriveOptions drive = TRY(FromJson<DriveOptions>(options, walk));
  const std::shared_ptr<GraphNode> node = TRY(BuildDrive(drive));
  return node->node_name();
}

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildDrive(const DriveOptions& drive) {
  if (!drive.file || drive.file->empty()) {
    return Fail(Errc::kInvalidArgument, "a drive needs its image: file=PATH");
  }
  if (drive.snapshot && !drive.read_only.value_or(drive.readonly.value_or(false))) {
    return BuildSnapshotDrive(drive);
  }
  std::string path = *drive.file;
  if (path.starts_with("file:")) {
    path.erase(0, 5);
  } else if (NamesProtocol(path)) {
    return Fail(Errc::kUnsupported, "unknown protocol in file={}; it takes a path", path);
  }
  const std::string format = drive.format.value_or("");
  const bool format_known =
      format.empty() || format == "raw" || format == "qcow2" || format == "file" || format == "host_device";
  if (!format_known) {
    return Fail(Errc::kUnsupported, "unknown driver '{}'; known: file, host_device, qcow2, raw", format);
  }
  const bool has_format_node = format.empty() || format == "raw" || format == "qcow2";
  const CacheSwitches cache = CacheOf(drive);

  FileConfig file;
  const bool device = format == "host_device" || (format != "file" && IsBlockDevice(opener_, path));
  file.kind = device ? FileConfig::Kind::kHostDevice : FileConfig::Kind::kFile;
  file.node_name =
      TRY(NameNode(has_format_node ? std::optional<std::string>() : drive.node_name, Naming::kMay));
  file.filename = path;
  file.read_only = drive.read_only.value_or(drive.readonly.value_or(false));
  file.auto_read_only = drive.auto_read_only.value_or(true);
  file.direct = cache.direct;
  file.no_flush = cache.no_flush;
  file.write_through = !cache.write_cache;
  file.unmap = has_format_node || Unmaps(drive.discard);
  file.force_share = drive.force_share.value_or(false);
  file.detect_zeroes =
      has_format_node ? DetectZeroes::kOff : drive.detect_zeroes.value_or(DetectZeroes::kOff);
  file.aio = drive.aio;
  file.locking = drive.file_locking;

  RawConfig raw;
  if (has_format_node) {
    raw.node_name = TRY(NameNode(drive.node_name, Naming::kMay));
  }
  raw.read_only = file.read_only;
  raw.unmap = Unmaps(drive.discard);
  raw.detect_zeroes = drive.detect_zeroes.value_or(DetectZeroes::kOff);
  TRY(CheckDetectZeroes(raw.detect_zeroes, raw.unmap));
  raw.offset = drive.offset.value_or(0);
  raw.size = drive.size;
  TRY(CheckFormatsOptions(drive, format));

  const std::shared_ptr<FileNode> protocol = TRY(FileNode::Open(opener_, file));
  if (!has_format_node) {
    nodes_[file.node_name] = protocol;
    return std::shared_ptr<GraphNode>(protocol);
  }
  std::string_view guessed = "raw";
  if (format.empty()) {
    const std::vector<std::byte> start = TRY(protocol->ReadStart(kProbeBytes));
    guessed = GuessFormat(start);
    if (guessed != "raw" && guessed != "qcow2") {
      TRY(RefuseOtherFormats(guessed, path));
    }
  }
  if (format == "qcow2" || guessed == "qcow2") {
    if (drive.offset || drive.size) {
      return Fail(Errc::kInvalidArgument, "offset= and size= are format=raw's, and {} is qcow2", path);
    }
    nodes_[file.node_name] = protocol;
    Inherited below;
    below.read_only = file.read_only;
    below.auto_read_only = file.auto_read_only;
    below.force_share = file.force_share;
    below.write_through = file.write_through;
    below.cache = {cache.direct, cache.no_flush};
    return BuildQcow2Over(Qcow2Of(drive, file, raw.node_name),
                          {.file = protocol, .data_file = nullptr, .backing = nullptr}, false, below,
                          format.empty() ? FormatFrom::kFirstBytes : FormatFrom::kOptions);
  }
  raw.format_guessed = format.empty();
  if (raw.format_guessed && !file.read_only) {
    Log(LogLevel::kWarning,
        "the format of {} was not given and looks like raw; the guest may not write another format's "
        "signature to its "
        "first sector: say format=raw to lift that",
        path);
  }
  const std::shared_ptr<RawNode> node = TRY(RawNode::Create(raw, protocol));
  nodes_[file.node_name] = protocol;
  nodes_[raw.node_name] = node;
  return std::shared_ptr<GraphNode>(node);
}

}  // namespace nandu
