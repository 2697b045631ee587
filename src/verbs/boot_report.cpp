#include "verbs/boot_report.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/json.h"

namespace nandu {
namespace {

constexpr size_t kMostLogBytes = 64 << 10;  // of a log within XML: its end

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000.0; }

// XML 1.0, 2.2: what may stand in a document; the rest of a guest's console is left out.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if ((byte >= 0x20 && byte < 0x7f) || c == '\n' || c == '\t') {
          out += c;
        }
    }
  }
  return out;
}

int64_t EndOf(const BootOutcome& outcome, size_t stage) {
  return stage + 1 < outcome.stages.size() ? outcome.stages[stage + 1].begin_ms : outcome.ended_ms;
}

}  // namespace

std::string OutcomeLine(const BootOutcome& outcome) {
  return Format("{:<7} {} ({:.1f} s): {}", outcome.passed ? "ok" : "FAILED", outcome.image,
                Seconds(outcome.ended_ms), outcome.reason);
}

std::string JunitXml(const std::vector<BootOutcome>& outcomes) {
  const auto failures = std::ranges::count(outcomes, false, &BootOutcome::passed);
  double total_s = 0;
  std::string cases;
  for (const BootOutcome& outcome : outcomes) {
    total_s += Seconds(outcome.ended_ms);
    cases += Format("  <testcase classname=\"nandu.boot-test\" name=\"{}\" time=\"{:.3f}\">\n",
                    Escaped(outcome.image), Seconds(outcome.ended_ms));
    if (!outcome.passed) {
      cases += Format("    <failure message=\"{}\"/>\n", Escaped(outcome.reason));
    }
    const size_t from = outcome.log.size() > kMostLogBytes ? outcome.log.size() - kMostLogBytes : 0;
    cases += Format("    <system-out>{}</system-out>\n  </testcase>\n",
                    Escaped(std::string_view(outcome.log).substr(from)));
  }
  return Format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"nandu boot-test\" tests=\"{}\" "
      "failures=\"{}\" errors=\"0\" time=\"{:.3f}\">\n{}</testsuite>\n",
      outcomes.size(), failures, total_s, cases);
}

std::string TimelineJson(const BootOutcome& outcome) {
  boost::json::array stages;
  for (size_t i = 0; i < outcome.stages.size(); ++i) {
    stages.push_back(boost::json::object{{"stage", NameOf(outcome.stages[i].stage)},
                                         {"begin-ms", outcome.stages[i].begin_ms},
                                         {"end-ms", EndOf(outcome, i)}});
  }
  const boost::json::object timeline{{"image", outcome.image},
                                     {"passed", outcome.passed},
                                     {"reason", outcome.reason},
                                     {"ended-ms", outcome.ended_ms},
                                     {"stages", stages}};
  return PrettyJsonText(timeline) + "\n";
}

std::string TimelineSvg(const BootOutcome& outcome) {
  constexpr int kLeft = 110, kWidth = 600, kRow = 28, kTop = 34, kBar = 18;
  static constexpr std::array<std::string_view, 6> kColours = {"#7f8c8d", "#8e6bbf", "#2c7fb8",
                                                               "#2ca25f", "#e0a030", "#c0504d"};
  const int rows = static_cast<int>(outcome.stages.size());
  const double total = std::max<double>(static_cast<double>(outcome.ended_ms), 1.0);
  std::string svg = Format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"10\" y=\"20\" "
      "font-size=\"14\">{}</text>\n",
      kLeft + kWidth + 80, kTop + rows * kRow + 12, Escaped(OutcomeLine(outcome)));
  for (int row = 0; row < rows; ++row) {
    const StageMark& mark = outcome.stages[static_cast<size_t>(row)];
    const int64_t end_ms = EndOf(outcome, static_cast<size_t>(row));
    const double x = kLeft + kWidth * static_cast<double>(mark.begin_ms) / total;
    const double width = std::max(1.0, kWidth * static_cast<double>(end_ms - mark.begin_ms) / total);
    const int y = kTop + row * kRow;
    svg += Format(
        "<text x=\"10\" y=\"{}\">{}</text>\n<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" "
        "fill=\"{}\"/>\n"
        "<text x=\"{:.1f}\" y=\"{}\">{:.1f} s</text>\n",
        y + 13, NameOf(mark.stage), x, y, width, kBar, kColours.at(static_cast<size_t>(mark.stage)),
        x + width + 5, y + 13, Seconds(end_ms - mark.begin_ms));
  }
  return svg + "</svg>\n";
}

}  // namespace nandu
