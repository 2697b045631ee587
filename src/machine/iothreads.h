// The I/O loops of a VM: those of -object iothread, and the shared default one, which is started when the
// first device needs it. Control loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loop/io_loop.h"
#include "machine/config.h"

namespace nandu {

struct TypeInfo;
const TypeInfo& IothreadOptionsType();  // what -object iothread takes

class IoThreads {
 public:
  IoThreads() = default;
  ~IoThreads();  // stops them: after every device that uses one
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  Result<> Add(const OptionBag& options);        // id= and poll-max-ns=, as -object iothread
  Result<EventLoop*> Find(std::string_view id);  // empty: the default one
  void StopAll();

  // Why worker threads serve although io_uring would be better; empty when none has to.
  const std::string& fallback_reason() const { return fallback_reason_; }

  struct Info {
    std::string id;
    int thread_id = 0;
    int64_t poll_max_ns = 0;
  };
  std::vector<Info> List() const;  // the user's, by id

 private:
  struct Entry {
    std::unique_ptr<IoLoop> loop;
    int64_t poll_max_ns = 0;
  };
  Result<std::unique_ptr<IoLoop>> StartLoop(const std::string& name, const IoLoopOptions& options);
  std::map<std::string, Entry, std::less<>> loops_;
  std::unique_ptr<IoLoop> default_;
  std::string fallback_reason_;
};

}  // namespace nandu
