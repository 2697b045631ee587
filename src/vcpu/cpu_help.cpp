// The text of -cpu help: models, features and properties, as QEMU lists them.
#include <algorithm>
#include <string>

#include "base/format.h"
#include "vcpu/cpu_model.h"
#include "vcpu/cpu_model_table.h"

namespace nandu {
namespace {

struct Line {
  std::string_view name;
  std::string text;
};

std::string Text(const NamedModel& model) {
  return model.note.empty() ? std::string(model.model_id) : Format("{} [{}]", model.model_id, model.note);
}

std::string Models() {
  std::vector<Line> lines;
  for (const NamedModel& model : NamedModels()) {
    lines.push_back({model.name, Text(model)});
    if (!model.alias.empty()) {
      lines.push_back({model.alias, Format("(alias of {})", model.name)});
    }
    if (const std::string_view unversioned = UnversionedName(model); !unversioned.empty()) {
      lines.push_back({unversioned, "(alias configured by machine type)"});
    }
  }
  std::ranges::sort(lines, {}, &Line::name);
  lines.push_back({"base", "base CPU model type with no features enabled"});
  lines.push_back({"host", "processor with all supported host features "});
  lines.push_back({"max", "Enables all features supported by the accelerator in the current host"});
  std::string text = "Available CPUs:\n";
  for (const Line& line : lines) {
    text += Format("x86 {:<20}  {}\n", line.name, line.text);
  }
  return text;
}

// Words in lines of at most 75 characters, each behind two spaces or one.
std::string Wrapped(std::span<const std::string_view> words) {
  constexpr size_t kWidth = 75;
  std::string text;
  std::string line = " ";
  for (const std::string_view word : words) {
    if (line.size() + 1 + word.size() > kWidth) {
      text += line + "\n";
      line = " ";
    }
    line += Format(" {}", word);
  }
  return text + line + "\n";
}

}  // namespace

std::string CpuHelp() {
  std::vector<std::string_view> features;
  for (const Feature& feature : AllFeatures()) {
    features.push_back(feature.name);
  }
  return Models() + "\nRecognized CPUID flags:\n" + Wrapped(features) + "\nOther properties:\n" +
         Wrapped(CpuPropertyNames());
}

}  // namespace nandu
