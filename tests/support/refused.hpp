#pragma once

#include <string>

#include "support/catch.hpp"
#include "tilt/core/error.hpp"

/// Building something throws an InvalidOption that names this field and this value, and says what
/// would be legal.
template <class Build>
void expect_refused(Build&& build, const std::string& field, const std::string& value) {
  INFO(field << " = " << value);
  try {
    build();
  } catch (const tilt::InvalidOption& error) {
    CHECK(error.field() == field);
    CHECK(error.value() == value);
    CHECK_FALSE(error.legal().empty());
    CHECK(std::string(error.what()).find(field) != std::string::npos);
    return;
  }
  FAIL_CHECK("it was not refused");
}
