#pragma once

// A line chart as inline SVG: values against cost, with 95 % intervals as bands.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <tilt/tilt.hpp>

#include "support/html.hpp"

/// A point of a line: where, and half the width of its interval (NaN: none).
struct ChartPoint {
  double x = 0, y = 0, half = tilt::unset;
  std::string label = {};  ///< shown when pointed at
};

/// A series; `color` is the number of a colour of the page's style, from 1. Its intervals are shown
/// as a band, or as a bar at its last point.
struct ChartLine {
  std::string name = {};
  std::vector<ChartPoint> points = {};
  int color = 1;
  bool band = false;
};

/// A horizontal line, such as a value to compare with.
struct ChartLevel {
  std::string name = {};
  double y = 0, half = tilt::unset;
};

struct Chart {
  std::string title = {}, x_name = {}, y_name = {};
  std::vector<ChartLine> lines = {};
  std::vector<ChartLevel> levels = {};
  double lowest = -tilt::infinity, highest = tilt::infinity;  ///< what values can be
};

/// Step of a scale of about `count` ticks: 1, 2 or 5 times a power of ten.
[[nodiscard]] inline double tick_step(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

/// A chart with its legend, as HTML. Colours come from the page's style, so that it follows light
/// and dark; every line also has a mark of its own shape.
[[nodiscard]] inline std::string html_chart(const Chart& chart) {
  constexpr double width = 420, height = 300, left = 46, right = 16, top = 10, bottom = 40;
  double high = -tilt::infinity, low = tilt::infinity, most = 0;
  const auto include = [&](double y, double half) {
    const double reach = std::isnan(half) ? 0 : half;
    high = std::max(high, y + reach);
    low = std::min(low, y - reach);
  };
  for (const ChartLine& line : chart.lines) {
    for (const ChartPoint& p : line.points) {
      include(p.y, line.band || &p == &line.points.back() ? p.half : 0);
      most = std::max(most, p.x);
    }
  }
  for (const ChartLevel& level : chart.levels) include(level.y, level.half);
  low = std::max(low, chart.lowest);
  high = std::min(high, chart.highest);
  if (!(high > low)) high = low + 1;
  if (!(most > 0)) most = 1;
  const double y_step = tick_step(high - low, 5), x_step = tick_step(most, 5);
  low = std::floor(low / y_step) * y_step;
  high = std::ceil(high / y_step) * y_step;
  most *= 1.03;
  const auto x_of = [&](double x) { return left + x / most * (width - left - right); };
  const auto y_of = [&](double y) {
    return top + (high - std::clamp(y, low, high)) / (high - low) * (height - top - bottom);
  };

  std::string svg = "<figure>\n<svg viewBox=\"0 0 " + number(width, 0) + ' ' + number(height, 0) +
                    "\" role=\"img\" aria-label=\"" + escape(chart.title) + "\">\n";
  const auto text = [&](double x, double y, const char* anchor, const std::string& what) {
    svg += "<text x=\"" + number(x, 1) + "\" y=\"" + number(y, 1) + "\" text-anchor=\"" + anchor +
           "\">" + escape(what) + "</text>\n";
  };
  const auto rule = [&](double x1, double y1, double x2, double y2, const char* kind) {
    svg += std::string("<line class=\"") + kind + "\" x1=\"" + number(x1, 1) + "\" y1=\"" +
           number(y1, 1) + "\" x2=\"" + number(x2, 1) + "\" y2=\"" + number(y2, 1) + "\"/>\n";
  };
  const int digits = y_step < 0.1 ? 2 : y_step < 1 ? 1 : 0;
  for (double y = low; y <= high + y_step / 2; y += y_step) {
    rule(left, y_of(y), width - right, y_of(y), "grid");
    text(left - 5, y_of(y) + 4, "end", number(std::abs(y) < y_step / 2 ? 0 : y, digits));
  }
  for (double x = 0; x <= most; x += x_step) {
    rule(x_of(x), height - bottom, x_of(x), height - bottom + 4, "axis");
    text(x_of(x), height - bottom + 17, "middle", number(x, 0));
  }
  rule(left, height - bottom, width - right, height - bottom, "axis");
  text((left + width - right) / 2, height - 5, "middle", chart.x_name);
  svg += "<text transform=\"translate(11 " + number((top + height - bottom) / 2, 1) +
         ") rotate(-90)\" text-anchor=\"middle\">" + escape(chart.y_name) + "</text>\n";

  for (const ChartLevel& level : chart.levels) {
    if (!std::isnan(level.half)) {
      svg += "<rect class=\"level-band\" x=\"" + number(left, 1) + "\" y=\"" +
             number(y_of(level.y + level.half), 1) + "\" width=\"" +
             number(width - left - right, 1) + "\" height=\"" +
             number(y_of(level.y - level.half) - y_of(level.y + level.half), 1) + "\"/>\n";
    }
    rule(left, y_of(level.y), width - right, y_of(level.y), "level");
    text(width - right - 2, y_of(level.y) - 4, "end", level.name);
  }
  for (const ChartLine& line : chart.lines) {  // bands first, so that no line is hidden
    if (!line.band || std::isnan(line.points.front().half)) continue;
    std::string outline;
    for (const ChartPoint& p : line.points) {
      outline += number(x_of(p.x), 1) + ',' + number(y_of(p.y + p.half), 1) + ' ';
    }
    for (auto p = line.points.rbegin(); p != line.points.rend(); ++p) {
      outline += number(x_of(p->x), 1) + ',' + number(y_of(p->y - p->half), 1) + ' ';
    }
    svg += "<polygon class=\"band c" + std::to_string(line.color) + "\" points=\"" + outline +
           "\"/>\n";
  }
  const auto mark = [](const ChartLine& line, double x, double y, double size) {
    const std::string color = " class=\"mark c" + std::to_string(line.color) + "\" ";
    const auto polygon = [&](const std::vector<std::pair<double, double>>& corners) {
      std::string points;
      for (const auto& [dx, dy] : corners) {
        points += number(x + size * dx, 1) + ',' + number(y + size * dy, 1) + ' ';
      }
      return "<polygon" + color + "points=\"" + points + "\">";
    };
    switch (line.color % 4) {
      case 0: return polygon({{-1, -1}, {1, -1}, {1, 1}, {-1, 1}});
      case 2: return polygon({{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}});
      case 3: return polygon({{0, -1.3}, {1.2, 0.9}, {-1.2, 0.9}});
      default:
        return "<circle" + color + "cx=\"" + number(x, 1) + "\" cy=\"" + number(y, 1) +
               "\" r=\"" + number(size, 1) + "\">";
    }
  };
  const auto mark_end = [](const ChartLine& line) {
    return line.color % 4 == 1 ? "</circle>\n" : "</polygon>\n";
  };
  for (const ChartLine& line : chart.lines) {
    std::string path;
    for (const ChartPoint& p : line.points) {
      path += (path.empty() ? 'M' : 'L') + number(x_of(p.x), 1) + ' ' + number(y_of(p.y), 1);
    }
    svg += "<path class=\"line c" + std::to_string(line.color) + "\" d=\"" + path + "\"/>\n";
    double last = -tilt::infinity;
    for (const ChartPoint& p : line.points) {
      const bool end = &p == &line.points.back();
      if (end && !line.band && !std::isnan(p.half)) {
        svg += "<path class=\"bar c" + std::to_string(line.color) + "\" d=\"M" +
               number(x_of(p.x), 1) + ' ' + number(y_of(p.y - p.half), 1) + 'L' +
               number(x_of(p.x), 1) + ' ' + number(y_of(p.y + p.half), 1) + "\"/>\n";
      }
      if (!end && x_of(p.x) - last < 14) continue;  // marks that would touch
      last = x_of(p.x);
      svg += mark(line, x_of(p.x), y_of(p.y), end ? 4.5 : 3) + "<title>" +
             escape(line.name + (p.label.empty() ? "" : ", " + p.label) + ": " + number(p.y, 3) +
                    (std::isnan(p.half) ? "" : " ± " + number(p.half, 3)) + " at " +
                    number(p.x, 0) + " tokens") +
             "</title>" + mark_end(line);
    }
  }
  svg += "</svg>\n<figcaption class=\"legend\">";
  for (const ChartLine& line : chart.lines) {
    svg += "<span><svg viewBox=\"0 0 16 12\">" + mark(line, 8, 6, 4) + mark_end(line) + "</svg>" +
           escape(line.name) + "</span>\n";
  }
  return svg + "</figcaption>\n</figure>\n";
}
