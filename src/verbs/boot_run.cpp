#include "verbs/boot_run.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/random.h>

#include "base/time.h"
#include "verbs/guest_process.h"
#include "verbs/image_facts.h"
#include "verbs/login.h"
#include "verbs/qmp_client.h"
#include "verbs/run_plan.h"
#include "verbs/seed.h"

namespace nandu {
namespace {

namespace fs = std::filesystem;

constexpr int kTickMs = 200;
constexpr int64_t kPowerOffMs = 120'000;  // what a guest may take for its shutdown

// Removed with all in it.
class WorkDirectory {
 public:
  static Result<WorkDirectory> Make() {
    const char* const named = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    std::string path = Format("{}/nandu-boot-XXXXXX", named != nullptr && *named != '\0' ? named : "/tmp");
    if (::mkdtemp(path.data()) == nullptr) {
      return FailErrno(errno, "cannot make {}", path);
    }
    return WorkDirectory(std::move(path));
  }
  WorkDirectory(WorkDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  ~WorkDirectory() {
    if (!path_.empty()) {
      std::error_code ignored;
      fs::remove_all(path_, ignored);
    }
  }
  std::string File(const char* name) const { return path_ + "/" + name; }

 private:
  explicit WorkDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// A file's text as it grows.
class Tail {
 public:
  explicit Tail(std::string path) : path_(std::move(path)) {}
  std::string More() {
    std::ifstream file(path_);
    file.seekg(static_cast<std::streamoff>(read_));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    read_ += text.size();
    return text;
  }

 private:
  std::string path_;
  size_t read_ = 0;
};

std::string RandomPassword() {
  uint64_t number = 0;
  while (::getrandom(&number, sizeof(number), 0) != sizeof(number)) {
  }
  return Format("{:016x}", number);
}

// Somebody who can log in, where a command is to be run.
Result<RunOptions> WithUser(const BootTestOptions& options, const std::string& image) {
  RunOptions run = options.run;
  run.image = fs::absolute(image).lexically_normal();
  run.name = NameFromImage(image);
  run.ephemeral = true;
  if (options.command.empty()) {
    return run;
  }
  if (!run.seed.directory.empty() && (run.seed.user.empty() || run.seed.password.empty())) {
    return Fail(Errc::kInvalidArgument,
                "--run logs in on the console: with --cloud-init, say as whom with --user and --password");
  }
  if (run.seed.user.empty()) {
    run.seed.user = "nandu";
  }
  if (run.seed.password.empty()) {
    run.seed.password = RandomPassword();
  }
  return run;
}

class BootRun {
 public:
  BootRun(const BootTestOptions& options, RunOptions run, WorkDirectory directory, BootWatch watch,
          GuestProcess guest, const BootProgress& progress)
      : options_(options),
        run_(std::move(run)),
        directory_(std::move(directory)),
        watch_(std::move(watch)),
        guest_(std::move(guest)),
        progress_(progress),
        firmware_(directory_.File("firmware.log")) {}

  BootOutcome Go() {
    outcome_.passed = Boot() && Command();
    Screenshot();
    if (outcome_.passed) {
      outcome_.passed = PowerOff();
    }
    outcome_.stages = watch_.stages();
    outcome_.ended_ms = NowMs();
    return std::move(outcome_);
  }

 private:
  int64_t NowMs() const { return (MonotonicNs() - begin_ns_) / 1'000'000; }
  bool TimeIsUp() const { return NowMs() >= int64_t{options_.timeout_s} * 1000; }
  bool Say(std::string reason, bool passed = false) {
    outcome_.reason = std::move(reason);
    return passed;
  }

  // What the console printed, told to the watch.
  std::string Step() {
    std::string text = guest_.Read(kTickMs, &ended_);
    outcome_.log += text;
    watch_.Feed(text, NowMs());
    watch_.FeedFirmware(firmware_.More());
    return text;
  }
  std::string WhereItWas() const {
    return Format("after {}; {}", NameOf(watch_.stages().back().stage),
                  watch_.last_line().empty() ? std::string("nothing was printed")
                                             : "the last line: " + watch_.last_line());
  }
  bool EndedEarly(std::string_view before) {
    const int status = guest_.Wait();
    std::string why = Tail(directory_.File("errors")).More();
    why = why.substr(0, why.find('\n'));
    if (!why.empty()) {
      return Say(why);
    }
    return Say(status == 0 ? Format("the guest powered off before {}, {}", before, WhereItWas())
                           : Format("nandu ended with status {} before {}", status, before));
  }

  bool Boot() {
    const std::string goal = options_.expect.empty() ? "a login prompt" : "the expected text";
    std::string_view told;
    while (!watch_.reached()) {
      Step();
      if (const std::string_view stage = NameOf(watch_.stages().back().stage); stage != told) {
        told = stage;
        progress_(std::string(stage));
      }
      if (watch_.failure()) {
        return Say(*watch_.failure());
      }
      if (ended_) {
        return EndedEarly(goal);
      }
      if (TimeIsUp()) {
        return Say(Format("no sign of {} within {} s, {}", goal, options_.timeout_s, WhereItWas()));
      }
    }
    return Say(goal, true);
  }

  bool Command() {
    if (options_.command.empty()) {
      return true;
    }
    progress_("running the command");
    LoginSession session(run_.seed.user, run_.seed.password, options_.command);
    // A prompt that stands there already is not printed again.
    std::string next = session.Feed(watch_.at_login() ? "login:" : "");
    while (!session.status()) {
      guest_.Type(next);
      next = session.Feed(Step());
      if (watch_.failure()) {
        return Say(*watch_.failure());
      }
      if (ended_) {
        return EndedEarly("the command's end");
      }
      if (TimeIsUp()) {
        return Say(Format("no sign of {} within {} s; the last line: {}", session.what_is_missing(),
                          options_.timeout_s, watch_.last_line()));
      }
    }
    outcome_.output = session.output();
    if (*session.status() != 0) {
      const std::string& output = outcome_.output;
      const size_t line = output.find_last_of('\n', output.empty() ? 0 : output.size() - 2);
      const std::string last = output.substr(line == std::string::npos ? 0 : line + 1);
      return Say(Format("the command ended with status {}{}", *session.status(),
                        last.empty() ? std::string() : ": " + last));
    }
    return Say(Format("{}, and the command succeeded",
                      options_.expect.empty() ? "a login prompt" : "the expected text"),
               true);
  }

  void Screenshot() {
    if (options_.screenshot.empty() || ended_) {
      return;
    }
    const char* const format = options_.screenshot.ends_with(".ppm") ? "ppm" : "png";
    const std::string file = directory_.File("screen");
    Result<QmpClient> monitor = QmpClient::Connect(directory_.File("qmp"));
    const Result<boost::json::value> taken =
        monitor ? monitor->Execute("screendump", {{"filename", file}, {"format", format}})
                : tl::unexpected<Error>(monitor.error());
    if (taken) {
      outcome_.screen = Tail(file).More();
    } else {
      outcome_.reason += Format(" (no screenshot: {})", taken.error().message);
    }
  }

  // The guest may be on its way already, by the command.
  bool PowerOff() {
    progress_("powering off");
    if (Result<QmpClient> monitor = QmpClient::Connect(directory_.File("qmp"))) {
      static_cast<void>(monitor->Execute("system_powerdown"));
    }
    const int64_t until_ms = NowMs() + kPowerOffMs;
    while (!ended_ && NowMs() < until_ms) {
      Step();
      if (watch_.failure()) {
        return Say(Format("while it powered off: {}", *watch_.failure()));
      }
    }
    if (!ended_) {
      return Say(Format("it did not power off within {} s; the last line: {}", kPowerOffMs / 1000,
                        watch_.last_line()));
    }
    const int status = guest_.Wait();
    return status == 0 || Say(Format("nandu ended with status {}", status));
  }

  const BootTestOptions& options_;
  const RunOptions run_;
  const WorkDirectory directory_;
  BootWatch watch_;
  GuestProcess guest_;
  const BootProgress& progress_;
  Tail firmware_;
  const int64_t begin_ns_ = MonotonicNs();
  bool ended_ = false;
  BootOutcome outcome_;
};

}  // namespace

Result<BootOutcome> RunBoot(const BootTestOptions& options, const std::string& image,
                            const BootProgress& progress) {
  RunOptions run = TRY(WithUser(options, image));
  WorkDirectory directory = TRY(WorkDirectory::Make());
  BootWatch watch = TRY(BootWatch::Create(options.expect));
  RunPlaces places;
  places.monitor = directory.File("qmp");
  // Always: without one, an image made for clouds waits long for somebody to ask.
  places.seed = directory.File("seed.iso");
  TRY(MakeSeed(places.seed, run.seed, run.name));
  if (run.uefi) {
    places.uefi_variables = directory.File("vars.fd");
    std::error_code failed;
    fs::copy_file(kUefiVariables, places.uefi_variables, failed);
    if (failed) {
      return Fail(Errc::kNotFound, "--uefi: {}: {}; it is in Debian's package ovmf", kUefiVariables,
                  failed.message());
    }
    fs::permissions(places.uefi_variables, fs::perms::owner_read | fs::perms::owner_write);
  }
  const std::string format = run.format.empty() ? TRY(ImageFormat(run.image)) : run.format;
  std::vector<std::string> disks;
  for (const std::string& disk : run.disks) {
    disks.push_back(TRY(Prefix(ImageFormat(disk), "--disk")));
  }
  std::vector<std::string> words = TRY(PlanRun(run, format, disks, places));
  for (const std::string& word :
       {std::string("-no-reboot"), std::string("-chardev"),
        Format("file,id=firmware,path={}", directory.File("firmware.log")), std::string("-device"),
        std::string("isa-debugcon,iobase=0x402,chardev=firmware")}) {
    words.push_back(word);
  }
  GuestProcess guest = TRY(GuestProcess::Start(words, directory.File("errors")));
  BootRun boot(options, std::move(run), std::move(directory), std::move(watch), std::move(guest), progress);
  BootOutcome outcome = boot.Go();
  outcome.image = image;
  return outcome;
}

}  // namespace nandu
