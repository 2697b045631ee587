// qcow2 nodes and the chain of images below them. What an image's header names is opened only where somebody
// said that the image is qcow2: a guest can write such a header to a raw disk, and the name of any file of
// the host into it.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <fcntl.h>
#include <sys/stat.h>

#include "block/block_graph.h"
#include "block/file_node.h"
#include "block/image_format.h"
#include "block/raw_node.h"

namespace nandu {
namespace {

constexpr size_t kMaxChain = 200;

// What tells that two paths are one file.
std::string IdentityOf(const GraphNode& file) {
  struct stat status {};
  const std::shared_ptr<FileBackend> backend = file.backend();
  if (backend == nullptr || ::fstat(backend->fd.get(), &status) != 0) {
    return "";
  }
  return backend->block_device ? Format("device {}", status.st_rdev)
                               : Format("{}:{}", status.st_dev, status.st_ino);
}

// A name in an image is meant relative to the image.
Result<std::string> PathFrom(const std::string& image, std::string named) {
  if (named.starts_with("file:")) {
    named.erase(0, 5);
  }
  const size_t at = named.find_first_of(":/");
  if (at != std::string::npos && at > 0 && named[at] == ':') {
    return Fail(Errc::kUnsupported,
                "it is no path, and nandu knows no other way to a file there; name the node: backing=NODE");
  }
  const size_t slash = image.rfind('/');
  return named.starts_with('/') || slash == std::string::npos ? named : image.substr(0, slash + 1) + named;
}

std::optional<boost::json::value> Take(boost::json::object* options, std::string_view key) {
  boost::json::value* const found = options->if_contains(key);
  if (found == nullptr) {
    return std::nullopt;
  }
  std::optional<boost::json::value> taken(std::move(*found));
  options->erase(key);
  return taken;
}

}  // namespace

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildQcow2(boost::json::object options,
                                                          const Inherited* parent) {
  const std::optional<boost::json::value> file = Take(&options, "file");
  const std::optional<boost::json::value> data_file = Take(&options, "data-file");
  const std::optional<boost::json::value> backing = Take(&options, "backing");
  WalkOptions walk;
  walk.field_word = "option";
  walk.lenient = true;
  const Qcow2Options qcow2 = TRY(FromJson<Qcow2Options>(options, walk));
  const Inherited from = parent != nullptr ? *parent : Inherited{};
  Qcow2Config config;
  config.node_name = TRY(NameNode(qcow2.node_name, parent == nullptr ? Naming::kMust : Naming::kMay));
  config.read_only = qcow2.read_only.value_or(from.read_only);
  config.auto_read_only = qcow2.auto_read_only.value_or(from.auto_read_only);
  config.force_share = qcow2.force_share.value_or(from.force_share);
  config.write_through = from.write_through;
  config.unmap = Unmaps(qcow2.discard) || (!qcow2.discard && parent != nullptr);
  config.detect_zeroes = qcow2.detect_zeroes.value_or(DetectZeroes::kOff);
  TRY(Prefix(CheckDetectZeroes(config.detect_zeroes, config.unmap), config.node_name));
  config.lazy_refcounts = qcow2.lazy_refcounts;
  config.cache_size = qcow2.cache_size;
  config.l2_cache_size = qcow2.l2_cache_size;
  config.l2_cache_entry_size = qcow2.l2_cache_entry_size;
  config.refcount_cache_size = qcow2.refcount_cache_size;

  Inherited below = from;
  below.read_only = config.read_only;
  below.auto_read_only = config.auto_read_only;
  below.force_share = config.force_share;
  below.cache = CacheBelow(qcow2, from);
  Qcow2Children children;
  children.file =
      TRY(Prefix(BuildChild(file.value_or(boost::json::value()), "file", below), config.node_name));
  if (data_file) {
    children.data_file = TRY(Prefix(BuildChild(*data_file, "data-file", below), config.node_name));
  }
  if (backing && !backing->is_null()) {
    Inherited read = below;
    read.read_only = true;
    read.above.push_back(IdentityOf(*children.file));
    children.backing = TRY(Prefix(BuildChild(*backing, "backing", read), config.node_name));
  }
  const bool named = qcow2.node_name.has_value();
  auto made = BuildQcow2Over(config, std::move(children), backing.has_value(), below, FormatFrom::kOptions);
  return named ? Prefix(std::move(made), config.node_name) : std::move(made);
}

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildQcow2Over(const Qcow2Config& config,
                                                              Qcow2Children children, bool has_backing_option,
                                                              Inherited below, FormatFrom format) {
  if (children.file->backend() == nullptr) {
    return Fail(Errc::kUnsupported, "a qcow2 image lies in a file or host_device node; '{}' is a {} node",
                children.file->node_name(), children.file->driver());
  }
  const std::string image = children.file->info().filename;
  const std::string identity = IdentityOf(*children.file);
  if (std::find(below.above.begin(), below.above.end(), identity) != below.above.end()) {
    return Fail(Errc::kCorrupt, "{} is its own backing file: the chain comes back to it", image);
  }
  if (below.above.size() >= kMaxChain) {
    return Fail(Errc::kUnsupported, "the backing chain has more than {} images", kMaxChain);
  }
  below.above.push_back(identity);
  qcow2::BackendFile file(children.file->backend());
  TRY(Prefix(file.Refresh(), image));
  const qcow2::Header header = TRY(Prefix(qcow2::ReadHeader(file), image));
  const bool needs_backing = !has_backing_option && !header.backing_file.empty();
  const bool needs_data = children.data_file == nullptr && header.external_data();
  if (format == FormatFrom::kFirstBytes && (needs_backing || needs_data)) {
    return Fail(Errc::kPermission,
                "{} looks like qcow2 and names another file, '{}'; a guest may have written that to a raw "
                "disk, so say format=qcow2 "
                "if it is yours",
                image, needs_backing ? header.backing_file : header.data_file);
  }
  if (needs_data) {
    if (header.data_file.empty()) {
      return Fail(Errc::kInvalidArgument,
                  "{} does not say where its data file is; name the node: data-file=NODE", image);
    }
    children.data_file = TRY(Prefix(OpenNamedFile(image, header.data_file, "", below),
                                    Format("data file '{}'", header.data_file)));
  }
  if (needs_backing) {
    Inherited read = below;
    read.read_only = true;
    read.write_through = false;
    const std::string where = Format("backing file '{}' of {}", header.backing_file, image);
    std::string backing_format = header.backing_format;
    if (backing_format.empty()) {
      backing_format = "raw";
      const std::string path = TRY(Prefix(PathFrom(image, header.backing_file), where));
      const UniqueFd fd = TRY(Prefix(opener_.Open(path, O_RDONLY | O_NONBLOCK), where));
      std::vector<std::byte> start(kProbeBytes);
      const ssize_t got = ::pread(fd.get(), start.data(), start.size(), 0);
      start.resize(got < 0 ? 0 : static_cast<size_t>(got));
      if (const std::string_view guessed = GuessFormat(start); guessed != "raw") {
        return Fail(Errc::kPermission,
                    "{}: its format is not recorded and it looks like {}, which a guest may have written to "
                    "a raw disk; record what it "
                    "is: qemu-img rebase -u -F {} -b '{}' '{}'",
                    where, guessed, guessed, header.backing_file, image);
      }
    }
    children.backing = TRY(Prefix(OpenNamedFile(image, header.backing_file, backing_format, read), where));
  }
  const std::shared_ptr<Qcow2Node> node =
      TRY(Prefix(Qcow2Node::Create(config, children.file, children.data_file, children.backing), image));
  nodes_[config.node_name] = node;
  return std::shared_ptr<GraphNode>(node);
}

// `format` empty: a protocol node alone.
Result<std::shared_ptr<GraphNode>> BlockGraph::OpenNamedFile(const std::string& image,
                                                             const std::string& named,
                                                             std::string_view format,
                                                             const Inherited& below) {
  const std::string path = TRY(PathFrom(image, named));
  struct stat status {};
  const auto found = opener_.Open(path, O_PATH);
  const bool device = found && ::fstat(found->get(), &status) == 0 && S_ISBLK(status.st_mode);
  boost::json::object file{{"driver", device ? "host_device" : "file"}, {"filename", path}};
  if (format.empty() || format == "file" || format == "host_device") {
    return Build(std::move(file), &below);
  }
  if (format != "raw" && format != "qcow2") {
    return Fail(Errc::kUnsupported, "its format is {}, which nandu does not read; nandu reads raw and qcow2",
                format);
  }
  return Build({{"driver", format}, {"file", std::move(file)}}, &below);
}

}  // namespace nandu
