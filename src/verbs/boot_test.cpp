#include "verbs/boot_test.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>
#include <unistd.h>

#include "verbs/boot_run.h"
#include "verbs/image_facts.h"
#include "verbs/message.h"

namespace nandu {
namespace {

// A line an image on a terminal, drawn again as they go on; elsewhere nothing but the outcomes.
class Board {
 public:
  explicit Board(const std::vector<std::string>& images) : terminal_(::isatty(STDOUT_FILENO) != 0) {
    for (const std::string& image : images) {
      lines_.push_back(Format("        {}", image));
    }
    Draw(false);
  }
  void Now(size_t index, const std::string& image, const std::string& what) {
    const std::lock_guard lock(mutex_);
    lines_[index] = Format("...     {}: {}", image, what);
    Draw(true);
  }
  void Ended(size_t index, const BootOutcome& outcome) {
    const std::lock_guard lock(mutex_);
    lines_[index] = OutcomeLine(outcome);
    Draw(true);
    if (!terminal_) {
      std::printf("%s\n", lines_[index].c_str());
      std::fflush(stdout);
    }
  }

 private:
  void Draw(bool again) {
    if (!terminal_) {
      return;
    }
    if (again) {
      std::printf("\033[%zuA", lines_.size());
    }
    for (const std::string& line : lines_) {
      std::printf("\r\033[K%s\n", line.c_str());
    }
    std::fflush(stdout);
  }
  const bool terminal_;
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// "{}" stands for the image's name.
std::string FileFor(std::string file, const std::string& image) {
  if (const size_t at = file.find("{}"); at != std::string::npos) {
    file.replace(at, 2, NameFromImage(image));
  }
  return file;
}

Result<> CheckFiles(const BootTestOptions& options) {
  for (const auto& [option, file] : {std::pair("--log", &options.log),
                                     {"--screenshot", &options.screenshot},
                                     {"--timeline", &options.timeline}}) {
    if (options.images.size() > 1 && !file->empty() && file->find("{}") == std::string::npos) {
      return Fail(Errc::kInvalidArgument,
                  "{} {}: with several images, write {{}} where the image's name goes", option, *file);
    }
  }
  if (!options.screenshot.empty() && !options.screenshot.ends_with(".png") &&
      !options.screenshot.ends_with(".ppm")) {
    return Fail(Errc::kInvalidArgument, "--screenshot {}: it is a .png or a .ppm file", options.screenshot);
  }
  if (!options.timeline.empty() && !options.timeline.ends_with(".json") &&
      !options.timeline.ends_with(".svg")) {
    return Fail(Errc::kInvalidArgument, "--timeline {}: it is a .json or a .svg file", options.timeline);
  }
  return {};
}

Result<> WriteFile(const std::string& path, const std::string& content) {
  if (path.empty()) {
    return {};
  }
  std::ofstream file(path, std::ios::binary);
  file << content;
  if (!file.flush()) {
    return Fail(Errc::kIo, "cannot write {}", path);
  }
  return {};
}

Result<> WriteFiles(const BootTestOptions& options, const BootOutcome& outcome) {
  TRY(WriteFile(FileFor(options.log, outcome.image), outcome.log));
  if (!outcome.screen.empty()) {
    TRY(WriteFile(FileFor(options.screenshot, outcome.image), outcome.screen));
  }
  const std::string timeline = FileFor(options.timeline, outcome.image);
  return WriteFile(timeline, timeline.ends_with(".svg") ? TimelineSvg(outcome) : TimelineJson(outcome));
}

Result<int> RunAll(const BootTestOptions& options) {
  TRY(CheckFiles(options));
  Board board(options.images);
  std::vector<Result<BootOutcome>> results(options.images.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t index = next++; index < options.images.size(); index = next++) {
      const std::string& image = options.images[index];
      results[index] =
          RunBoot(options, image, [&](const std::string& what) { board.Now(index, image, what); });
      if (results[index]) {
        board.Ended(index, *results[index]);
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned job = 1; job < options.jobs; ++job) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::vector<BootOutcome> outcomes;
  bool all_passed = true;
  for (size_t index = 0; index < results.size(); ++index) {
    BootOutcome outcome = TRY(Prefix(std::move(results[index]), options.images[index]));
    all_passed = all_passed && outcome.passed;
    TRY(WriteFiles(options, outcome));
    if (!outcome.output.empty()) {
      std::printf("%s%s%s", options.images.size() > 1 ? (outcome.image + ":\n").c_str() : "",
                  outcome.output.c_str(), outcome.output.ends_with('\n') ? "" : "\n");
    }
    outcomes.push_back(std::move(outcome));
  }
  TRY(WriteFile(options.junit, JunitXml(outcomes)));
  return all_passed ? 0 : 1;
}

}  // namespace

int BootTest(const BootTestOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // a VM that ends while something is typed
  const Result<int> status = RunAll(options);
  if (!status) {
    Note(status.error().message);
    return 2;
  }
  return *status;
}

}  // namespace nandu
