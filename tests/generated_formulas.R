# For each case of cases.json: names, assign, rows and values of the columns that R makes (model.matrix, lme4's
# lFormula, or model.matrix on the new table), one line of JSON each in said.json and all numbers, one after the
# other, in values.bin. Arguments: the folder.
folder <- commandArgs(TRUE)[1]
options(warn = 1)
center <- function(x) x - mean(x, na.rm = TRUE)
ns <- splines::ns
bs <- splines::bs

read_table <- function(name) {
  columns <- jsonlite::read_json(file.path(folder, paste0(name, ".json")), simplifyVector = FALSE)
  file <- file(file.path(folder, paste0(name, ".bin")), "rb")
  on.exit(close(file))
  values <- lapply(columns, function(column) {
    x <- readBin(file, "double", column$n)
    x[is.nan(x)] <- NA
    switch(column$kind, number = x, logical = as.logical(x),
           factor = structure(as.integer(x), levels = vapply(column$levels, identity, ""),
                              class = c(if (column$ordered) "ordered", "factor")))
  })
  structure(values, names = vapply(columns, `[[`, "", "name"), class = "data.frame",
            row.names = .set_row_names(length(values[[1]])))
}

values <- file(file.path(folder, "values.bin"), "wb")
put <- function(x) {
  writeBin(as.double(x), values)
  length(x)
}
told <- function(X) {
  list(names = I(as.character(colnames(X))), assign = I(as.integer(attr(X, "assign"))),
       rows = I(as.integer(rownames(X))), size = put(X))
}

fixed <- function(formula, case, d) {
  frame <- model.frame(formula, d, drop.unused.levels = TRUE)
  told(model.matrix(terms(frame), frame, contrasts.arg = case$contrasts))
}

again <- function(formula, case, d, new) {
  frame <- model.frame(formula, d, drop.unused.levels = TRUE)
  X <- model.matrix(terms(frame), frame, contrasts.arg = case$contrasts)
  right <- delete.response(terms(frame))
  newframe <- model.frame(right, new, na.action = na.pass, xlev = .getXlevels(terms(frame), frame))
  told(model.matrix(right, newframe, contrasts.arg = attr(X, "contrasts")))
}

# Its checks of sizes and ranks concern the fit, not the columns.
lenient <- lme4::lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore",
                             check.rankX = "ignore", check.scaleX = "ignore")
mixed <- function(formula, case, d) {
  found <- lme4::lFormula(formula, d, control = lenient)
  columns <- told(found$X)
  random <- lapply(seq_along(found$reTrms$Ztlist), function(i) {
    Zt <- found$reTrms$Ztlist[[i]]
    flist <- found$reTrms$flist
    list(group = names(found$reTrms$cnms)[i], columns = I(found$reTrms$cnms[[i]]),
         levels = I(levels(flist[[attr(flist, "assign")[i]]])), size = c(put(Zt@p), put(Zt@i), put(Zt@x)))
  })
  c(columns, list(random = random))
}

cases <- jsonlite::read_json(file.path(folder, "cases.json"), simplifyVector = FALSE)
numbers <- unique(vapply(cases, `[[`, 1L, "table"))
tables <- lapply(setNames(numbers, numbers), function(i) list(read_table(paste0("table", i)), read_table(paste0("new", i))))
make <- list(fixed = fixed, random = mixed, new = again)
said <- lapply(cases, function(case) {
  warned <- character()
  answer <- tryCatch(withCallingHandlers({
    given <- c(list(as.formula(case$formula, globalenv()), case), tables[[as.character(case$table)]])
    do.call(make[[case$kind]], if (case$kind == "new") given else given[1:3])
  }, warning = function(w) {
    warned <<- c(warned, conditionMessage(w))
    invokeRestart("muffleWarning")
  }), error = function(e) list(error = conditionMessage(e)))
  c(answer, list(warned = I(warned)))
})
close(values)
writeLines(enc2utf8(vapply(said, jsonlite::toJSON, "", auto_unbox = TRUE)), file.path(folder, "said.json"), useBytes = TRUE)
