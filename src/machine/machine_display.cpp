// The machine's face to its screens. A picture is drawn, packed and written by a worker: the control loop
// neither reads guest memory nor waits for a disk.
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <nandu/display.h>

#include "devices/display/picture_file.h"
#include "machine/machine.h"
#include "machine/machine_impl.h"

namespace nandu {
namespace {

struct Job {
  std::shared_ptr<Display> display;  // what it is drawn from may outlive the machine
  UniqueFd file;
  std::string name;
  PictureFormat format = PictureFormat::kPpm;
  Result<> result;
};

Result<> DrawInto(Job& job) {
  Picture picture;
  job.display->Draw(&picture);
  const std::vector<std::byte> bytes = TRY(EncodePicture(picture, job.format));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(job.file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) {
      return FailErrno(errno, "cannot write {}", job.name);
    }
    done += count < 0 ? 0 : static_cast<size_t>(count);
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<Display>> Machine::Impl::FindDisplay(const std::optional<std::string>& device) const {
  for (const Device* candidate : all_devices) {
    if (device && candidate->id() != *device) {
      continue;
    }
    std::shared_ptr<Display> display = candidate->display();
    if (display) {
      return display;
    }
    if (device) {
      return Fail(Errc::kInvalidArgument, "device '{}' has no screen", *device);
    }
  }
  if (device) {
    return Fail(Errc::kNotFound, "there is no device '{}'", *device);
  }
  return Fail(Errc::kUnsupported, "there is no screen; start the VM with -vga std or -device VGA");
}

void Machine::Screendump(const ScreendumpRequest& request, UniqueFunction<void(Result<>)> done) {
  const auto job = std::make_shared<Job>();
  job->name = request.filename;
  job->format = request.format;
  const auto start = [&]() -> Result<> {
    if (request.head != 0) {
      return Fail(Errc::kInvalidArgument, "head {}: a screen has head 0 alone", request.head);
    }
    job->display = TRY(impl_->FindDisplay(request.device));
    constexpr mode_t kMode = 0666;
    job->file = TRY(impl_->opener->Open(request.filename, O_WRONLY | O_CREAT | O_TRUNC, kMode));
    return {};
  };
  if (Result<> started = start(); !started) {
    done(std::move(started));
    return;
  }
  impl_->loop.RunBlocking([job] { job->result = DrawInto(*job); },
                          [job, done = std::move(done)]() mutable { done(std::move(job->result)); });
}

}  // namespace nandu
