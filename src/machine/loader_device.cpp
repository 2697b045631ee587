#include "machine/loader_device.h"

#include <array>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <utility>

#include "memory/address_space.h"
#include "memory/flat_view.h"

namespace nandu {
namespace {

constexpr uint8_t kMostDataBytes = 8;

bool GivesValue(const LoaderOptions& options) {
  return options.data != 0 || options.data_len != 0 || options.data_be;
}

// The value's bytes in memory. As QEMU 7.2: of a big-endian one, the first of its eight.
std::array<uint8_t, kMostDataBytes> BytesOf(const LoaderOptions& options) {
  std::array<uint8_t, kMostDataBytes> bytes = {};
  for (unsigned i = 0; i < kMostDataBytes; ++i) {
    const unsigned place = options.data_be ? kMostDataBytes - 1 - i : i;
    bytes.at(place) = static_cast<uint8_t>(options.data >> (8 * i));
  }
  return bytes;
}

Result<std::unique_ptr<Device>> CreateLoader(DeviceHost& host, const std::string& id,
                                             const boost::json::object& options) {
  const LoaderOptions parsed =
      TRY(FromJson<LoaderOptions>(options, {.path = "loader", .field_word = "property", .lenient = true}));
  return std::unique_ptr<Device>(TRY(LoaderDevice::Create(host, id, parsed)));
}

}  // namespace

Result<> Validate(const LoaderOptions& options) {
  if (GivesValue(options)) {
    if (options.file || options.force_raw) {
      return Fail(Errc::kInvalidArgument,
                  "data= and file= are two things to load; add a second loader for one of them");
    }
    if (options.data_len == 0 || options.data_len > kMostDataBytes) {
      return Fail(Errc::kInvalidArgument, "a value needs its size: data-len= from 1 to {} bytes",
                  kMostDataBytes);
    }
    return {};
  }
  if (options.force_raw && !options.file) {
    return Fail(Errc::kInvalidArgument, "force-raw= belongs to a file: give it with file=");
  }
  if (options.file) {
    return {};
  }
  if (options.addr == 0) {
    return Fail(Errc::kInvalidArgument,
                "give file=, or data= with data-len=, or addr= with cpu-num= to say where a vCPU starts");
  }
  if (!options.cpu_num) {
    return Fail(Errc::kInvalidArgument,
                "addr= alone says where a vCPU starts: add cpu-num=, or file= or data=");
  }
  return {};
}

LoaderDevice::LoaderDevice(std::string id, const LoaderOptions& options, std::optional<MemoryImage> image)
    : LegacyDevice(id, "loader", "/machine/loader/" + id), options_(options), image_(std::move(image)) {}

Result<std::unique_ptr<LoaderDevice>> LoaderDevice::Create(DeviceHost& host, const std::string& id,
                                                           const LoaderOptions& options) {
  TRY(Validate(options));
  if (options.cpu_num && *options.cpu_num >= host.vcpu_count()) {
    return Fail(Errc::kInvalidArgument, "cpu-num={}: there are {} vCPUs, counted from 0", *options.cpu_num,
                host.vcpu_count());
  }
  const auto view = host.memory_space().view();
  const GuestMemory& memory = *view->memory();
  std::optional<MemoryImage> image;
  if (options.file) {
    UniqueFd fd = TRY(host.OpenFile(*options.file));
    BootFile file = TRY(BootFile::FromFd(std::move(fd), *options.file));
    image = TRY(
        MemoryImage::Open(std::move(file), options.addr,
                          options.force_raw ? MemoryImage::Format::kRaw : MemoryImage::Format::kByContent));
    TRY(image->Check(memory));
  }
  std::unique_ptr<LoaderDevice> made(new LoaderDevice(id, options, std::move(image)));
  if (GivesValue(options)) {
    std::vector<iovec> pieces;
    if (!memory.ToIovecs(Gpa{options.addr}, options.data_len, Access::kWrite, &pieces)) {
      return Fail(Errc::kInvalidArgument, "addr={:#x}: {} bytes there do not fit the guest's RAM",
                  options.addr, options.data_len);
    }
  }
  return made;
}

Result<> LoaderDevice::WriteValue(const GuestMemory& memory) const {
  if (GivesValue(options_) &&
      !memory.Write(Gpa{options_.addr}, BytesOf(options_).data(), options_.data_len)) {
    return Fail(Errc::kNoMemory, "{}: the guest has no RAM at {:#x}", id(), options_.addr);
  }
  return {};
}

Result<> LoaderDevice::WriteImage(const GuestMemory& memory) const {
  return image_ ? Prefix(image_->Write(memory), id()) : Result<>();
}

bool LoaderDevice::Overlaps(const LoaderDevice& other) const {
  return image_ && other.image_ && image_->Overlaps(*other.image_);
}

std::optional<LoaderDevice::Start> LoaderDevice::start() const {
  // cpu-num beside a value says whose memory is meant, and there is one.
  if (!options_.cpu_num || GivesValue(options_)) {
    return std::nullopt;
  }
  const uint64_t rip = image_ ? image_->entry().value_or(options_.addr) : options_.addr;
  return Start{*options_.cpu_num, rip};
}

const DeviceFactory& LoaderFactory() {
  static const DeviceFactory kFactory = {
      .driver = "loader",
      .aliases = {},
      .description = "puts a file or a value into memory, or says where a vCPU starts",
      .bus = "System",
      .options = [] { return &TypeOf<LoaderOptions>(); },
      .create = CreateLoader,
  };
  return kFactory;
}

}  // namespace nandu
